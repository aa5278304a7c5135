"""The embedders that there are: their addresses, whether they are well, and which models they have.

gRPC spreads calls over all embedders (`serving.channels`). For each model there is a channel of its own, which asks for
the health of that model, so only embedders that have it get calls for it. Beside these, each embedder has a channel to
its own address, for what concerns one of them: its health, its models, and its share of uploads (`bulk_embedding`).

A model that no embedder has is missing only if none of those that are away may have it. An embedder that is away may
have what it had, or anything if it was never seen.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import grpc.aio
import structlog
from prometheus_client import Gauge
from semsearch.embedder.v1 import embedder_service_pb2

from gateway.backends.bulk_embedding import BulkEmbedding
from gateway.backends.dependency_health import watch_health
from gateway.backends.embedder_addresses import EmbedderAddresses
from gateway.backends.embedder_client import EmbedderClient
from gateway.backends.embedding import ImageEmbeddings, ImageInput
from gateway.errors import DependencyUnavailable, GatewayError
from gateway.readiness import Need, Readiness
from serving.background import WorkHealth
from serving.channels import Channels

_EMBEDDER = embedder_service_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name
# How often names are looked up and models listed; a model that was pulled here is known at once.
_LOOK_SECONDS = 5.0
# A removed embedder may finish its calls.
_GRACE_SECONDS = 30.0
# A name may lack the address of an embedder that is being restarted; then it is back within this time, or not at all.
_RETURN_SECONDS = 300.0

_SERVING = Gauge("semsearch_gateway_embedder_serving", "Whether an embedder is well, by its address.", ["address"])

log = structlog.get_logger(__name__)


class EmbedderNode:
    """One embedder; `models` are the ids of its models as far as known, `active` the one that it keeps loaded."""

    def __init__(self, address: str, channel: grpc.aio.Channel) -> None:
        self.address = address
        self.channel = channel
        self.client = EmbedderClient(channel)
        self.is_serving = False
        self.models: frozenset[str] | None = None
        self.active = ""

    @property
    def is_well(self) -> bool:
        """Whether it serves, and its models are known."""
        return self.is_serving and self.models is not None

    def may_have(self, model_id: str) -> bool:
        """Whether it has a model, or had it when it was last asked, or was never asked."""
        return self.models is None or model_id in self.models

    async def list_models(self) -> None:
        """Ask which models it has; raises as `Embedder.list_models`."""
        models = await self.client.list_models()
        self.models = frozenset(model.id for model in models)
        self.active = next((model.id for model in models if model.active), "")


class EmbedderPool:
    """All embedders; `open_pool` opens and closes it.

    Attributes:
        channel: Reaches any embedder that is well, whatever its models.
        everyone: Makes calls over `channel`.
        bulk: Spreads uploads over all.
        health: Fails for each embedder that is not well.
    """

    def __init__(self, addresses: EmbedderAddresses, channels: Channels, stack: AsyncExitStack) -> None:
        self.several = addresses.several
        self._addresses = addresses
        self._channels = channels
        self._stack = stack
        self._nodes: dict[str, EmbedderNode] = {}
        self._of_model: dict[str, EmbedderClient] = {}
        self._removed: dict[str, float] = {}  # by model: the loop's time when an embedder that had it was removed
        self.channel = self._open(_EMBEDDER)
        self.everyone = EmbedderClient(self.channel)
        self.bulk = BulkEmbedding(self)
        self.health = WorkHealth("following-embedder")

    @property
    def nodes(self) -> list[EmbedderNode]:
        """The embedders that are well, by address."""
        return [node for _, node in sorted(self._nodes.items()) if node.is_well]

    async def with_model(self, model_id: str) -> EmbedderClient:
        """Return a client whose calls go to embedders that have a model; if none has, to any, which says so.

        Raises:
            DependencyUnavailable: None has it, but one that is away may have it.
        """
        if not model_id:
            return self.everyone
        if not self._is_known(model_id):
            await self.look_at_all()  # it may be new
            if not self._is_known(model_id):
                if self.several and self._may_return(model_id):
                    raise DependencyUnavailable("embedder")
                return self.everyone
        client = self._of_model.get(model_id)
        if client is None:
            client = self._of_model[model_id] = EmbedderClient(self._open(f"{_EMBEDDER}/{model_id}"))
        return client

    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        """Embed images on any embedder that has a model; raises as `with_model` and `Embedder.embed_images`."""
        return await (await self.with_model(model_id)).embed_images(images, model_id)

    async def look_at_all(self) -> None:
        """Learn which models the embedders have."""
        await asyncio.gather(*(self.look(node) for node in self._nodes.values()))

    async def look(self, node: EmbedderNode) -> None:
        """Learn which models an embedder has, and whether it may get work."""
        if node.is_serving:
            try:
                await node.list_models()
            except (GatewayError, TimeoutError) as error:
                log.warning("an embedder does not list its models", address=node.address, error=str(error))
        self._changed(node)

    async def keep_following(self, readiness: Readiness) -> None:
        """Follow the embedders' addresses, health and models; run until cancelled."""
        following: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                for address in await self._look_up() ^ following.keys():
                    if address in following:
                        following.pop(address).cancel()
                        group.create_task(self._remove(address, readiness))
                    else:
                        following[address] = group.create_task(self._follow(address, readiness))
                await asyncio.sleep(_LOOK_SECONDS)
                await self.look_at_all()
                await readiness.set(Need.EMBEDDER, bool(self.nodes))

    async def _look_up(self) -> frozenset[str]:
        """Return the addresses; those that are known while the name cannot be looked up."""
        try:
            found = await self._addresses.look_up()
        except OSError as error:
            self.health.failed(error, self._addresses.name, expected=True)
            return frozenset(self._nodes)
        self.health.succeeded(self._addresses.name)
        return found

    async def _follow(self, address: str, readiness: Readiness) -> None:
        channel = self._channels.open(address, server_name=self._addresses.host)
        node = self._nodes[address] = EmbedderNode(address, channel)
        async for serving in watch_health(channel, _EMBEDDER):
            node.is_serving = serving
            await self.look(node)
            await readiness.set(Need.EMBEDDER, bool(self.nodes))

    async def _remove(self, address: str, readiness: Readiness) -> None:
        node = self._nodes.pop(address, None)
        if node is not None:
            log.info("an embedder was removed", address=address)
            self._removed |= dict.fromkeys(node.models or (), asyncio.get_running_loop().time())
            self.bulk.remove(address)
            self.health.succeeded(address)
            _SERVING.remove(address)
            await readiness.set(Need.EMBEDDER, bool(self.nodes))
            await node.channel.close(_GRACE_SECONDS)

    def _is_known(self, model_id: str) -> bool:
        return any(node.may_have(model_id) for node in self.nodes)

    def _may_return(self, model_id: str) -> bool:
        """Whether an embedder that is away may have a model."""
        is_away = any(not node.is_well and node.may_have(model_id) for node in self._nodes.values())
        removed_at = self._removed.get(model_id, -math.inf)
        return is_away or not self._nodes or asyncio.get_running_loop().time() < removed_at + _RETURN_SECONDS

    def _changed(self, node: EmbedderNode) -> None:
        if self._nodes.get(node.address) is not node:
            return  # it was removed while it was asked
        _SERVING.labels(node.address).set(node.is_well)
        if node.is_well:
            self.bulk.put(node.address, node.client, node.models)
            self.health.succeeded(node.address)
        else:
            self.bulk.remove(node.address)
            self.health.failed(DependencyUnavailable("embedder"), node.address, expected=True)

    def _open(self, health_service: str) -> grpc.aio.Channel:
        channel = self._channels.open(self._addresses.target, health_service=health_service)
        self._stack.push_async_exit(channel)
        return channel

    async def close(self) -> None:
        """Close the channels to single embedders."""
        await asyncio.gather(*(node.channel.close() for node in self._nodes.values()))


@asynccontextmanager
async def open_pool(setting: str, channels: Channels) -> AsyncIterator[EmbedderPool]:
    """Open the channels to the embedders of a setting (see `EmbedderAddresses`)."""
    async with AsyncExitStack() as stack:
        pool = EmbedderPool(EmbedderAddresses.parse(setting), channels, stack)
        stack.push_async_callback(pool.close)
        yield pool
