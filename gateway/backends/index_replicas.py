"""The vector index with read replicas: searches go to replicas in turn, everything else to the writer.

Searches, counts by distance and lists near a vector may be out of date by as much as the replicas allow themselves.
Everything that must be exact asks the writer: uploads, changes, lists, single images, switches of the model.

A search sees the changes that were made through the same object before it: it names the beat of the last one (see
`index_service/api/replication.py`), and a replica that is not that far refuses it. Whatever a replica refuses, or does
not answer, is asked of the writer. So a replica that ends, hangs or lags costs time, and no call fails for it.

A replica that has no room is another matter: another replica is asked, and if that has none either, the search is
refused as OVERLOADED. The writer alone could not do the work of all replicas, and it has changes to make.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import grpc
import grpc.aio
import structlog
from prometheus_client import Counter
from semsearch.v1.query_pb2 import Filter
from typing_extensions import override

from gateway.backends.dependency_health import watch_health
from gateway.backends.embedding import Vector
from gateway.backends.index_client import SOLE, IndexClient
from gateway.backends.refusals import Overloaded, Refused
from gateway.backends.vector_index import Found, IndexInfo, Item, NearItem, Neighborhood, Position
from gateway.errors import DependencyUnavailable
from gateway.lease import Lease
from gateway.recently_used import RecentlyUsed
from serving.channels import Channels

# A replica that does not answer within this time is not asked for as long again.
_ATTEMPT_SECONDS = 5.0
# How many replicas are asked for one search: more would keep busy those that have no room.
_MOST_ATTEMPTS = 2
_SERVICE = "semsearch.index.v1.IndexService"
_BEAT_KEY = "semsearch-index-beat"
_MOST_NAMES = 1_000
_wanted_beat: ContextVar[str] = ContextVar("wanted_beat", default="")
_READS = Counter(
    "semsearch_gateway_index_reads", "Searches and counts by what answered them: a replica or the writer.", ["by"]
)

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Replica:
    """A read replica, and whether it is well."""

    def __init__(self, address: str, channel: grpc.aio.Channel) -> None:
        self.client = IndexClient(cast("grpc.aio.Channel", _WantingChannel(channel)))
        self._address = address
        self._channel = channel
        self._serves = False
        self._not_before = 0.0

    @property
    def is_well(self) -> bool:
        """Whether it says that it serves, and has answered in time lately."""
        return self._serves and asyncio.get_running_loop().time() >= self._not_before

    def rest(self) -> None:
        """Do not ask it for a while."""
        self._not_before = asyncio.get_running_loop().time() + _ATTEMPT_SECONDS

    async def follow_health(self) -> None:
        """Keep `is_well` up to date; run until cancelled."""
        async for serves in watch_health(self._channel, _SERVICE):
            self._serves = serves
            log.info("health of a read replica", address=self._address, serving=serves)


@asynccontextmanager
async def open_replicas(addresses: Sequence[str], channels: Channels) -> AsyncIterator[Sequence[Replica]]:
    """Open channels to replicas and follow their health."""
    async with AsyncExitStack() as stack:
        replicas = [
            Replica(
                address,
                # Not retried there: the writer is asked instead.
                await stack.enter_async_context(channels.open(address, retry=False)),
            )
            for address in addresses
        ]
        async with asyncio.TaskGroup() as background:
            tasks = [background.create_task(replica.follow_health()) for replica in replicas]
            try:
                yield replicas
            finally:
                for task in tasks:
                    task.cancel()


class ReplicatedIndex(IndexClient):
    """An `IndexClient` of the writer whose searches go to replicas."""

    def __init__(self, channel: grpc.aio.Channel, replicas: Sequence[Replica], lease: Lease = SOLE) -> None:
        self._changes = _NotingChannel(channel)
        super().__init__(cast("grpc.aio.Channel", self._changes), lease)
        self._replicas = replicas
        self._turn = itertools.count()
        # By name and by alias, because changes and searches may use either: the beat from which on replicas have the
        # last change, and the index that an alias named last.
        self._changed: RecentlyUsed[str, str] = RecentlyUsed(_MOST_NAMES)
        self._named: RecentlyUsed[str, str] = RecentlyUsed(_MOST_NAMES)

    @override
    async def get(self, name: str) -> IndexInfo:
        """See `IndexClient`."""
        info = await super().get(name)
        self._named.put(name, info.name)
        return info

    @override
    async def upsert(self, name: str, model_id: str, items: Sequence[Item]) -> None:
        """See `IndexClient`."""
        await super().upsert(name, model_id, items)
        self._note(name)

    @override
    async def load(self, name: str, model_id: str, batches: AsyncIterator[Sequence[Item]]) -> None:
        """See `IndexClient`."""
        await super().load(name, model_id, batches)
        self._note(name)

    @override
    async def delete_items(self, name: str, ids: Sequence[str]) -> Sequence[str]:
        """See `IndexClient`."""
        unknown = await super().delete_items(name, ids)
        self._note(name)
        return unknown

    @override
    async def delete(self, name: str) -> int:
        """See `IndexClient`."""
        count = await super().delete(name)
        self._note(name)
        return count

    @override
    async def set_alias(self, alias: str, name: str) -> str:
        """See `IndexClient`."""
        before = await super().set_alias(alias, name)
        self._named.put(alias, name)
        self._note(alias)
        return before

    @override
    async def delete_alias(self, alias: str) -> str:
        """See `IndexClient`."""
        before = await super().delete_alias(alias)
        self._note(alias)
        return before

    @override
    async def search(
        self,
        name: str,
        vector: Vector,
        k: int,
        model_id: str,
        *,
        filter_: Filter | None = None,
        attributes: Sequence[str] | None = None,
        vectors: bool = False,
        after: Position | None = None,
    ) -> Found:
        """See `IndexClient`."""
        return await self._read(
            name,
            lambda index: IndexClient.search(
                index, name, vector, k, model_id, filter_=filter_, attributes=attributes, vectors=vectors, after=after
            ),
        )

    @override
    async def count(
        self,
        name: str,
        *,
        filter_: Filter | None = None,
        near: tuple[str, Vector] | None = None,
        distances: Sequence[float] = (),
        excluded: Collection[str] = (),
    ) -> tuple[int, Sequence[int]]:
        """See `IndexClient`; a count without distances is exact, because lists show it."""
        if near is None:
            return await super().count(name, filter_=filter_)
        return await self._read(
            name,
            lambda index: IndexClient.count(
                index, name, filter_=filter_, near=near, distances=distances, excluded=excluded
            ),
        )

    @override
    async def list_within(
        self,
        name: str,
        neighborhood: Neighborhood,
        *,
        descending_by: str,
        page_size: int,
        page_token: str = "",
        filter_: Filter | None = None,
    ) -> tuple[Sequence[NearItem], str]:
        """See `IndexClient`."""
        return await self._read(
            name,
            lambda index: IndexClient.list_within(
                index,
                name,
                neighborhood,
                descending_by=descending_by,
                page_size=page_size,
                page_token=page_token,
                filter_=filter_,
            ),
        )

    def _note(self, name: str) -> None:
        if self._changes.newest_beat:
            for each in {name, self._named.get(name) or name}:
                self._changed.put(each, self._changes.newest_beat)

    async def _read(self, name: str, call: Callable[[IndexClient], Awaitable[T]]) -> T:
        """Call the next replica that is well, another one if that has no room, and the writer if it does not answer."""
        overloaded: Overloaded | None = None
        for replica in self._next(_MOST_ATTEMPTS):
            token = _wanted_beat.set(self._changed.get(name) or "")
            try:
                async with asyncio.timeout(_ATTEMPT_SECONDS) as attempt:
                    found = await call(replica.client)
            except Overloaded as error:
                overloaded = error
                continue
            except Refused as error:
                if error.refusal.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]:
                    raise
                break  # it may be wrong only for a moment; the writer's answer counts
            except TimeoutError:
                if not attempt.expired():  # the caller's own deadline
                    raise
                replica.rest()
                break
            except DependencyUnavailable:
                replica.rest()
                break
            finally:
                _wanted_beat.reset(token)
            _READS.labels("replica").inc()
            return found
        if overloaded is not None:
            raise overloaded
        _READS.labels("writer").inc()
        return await call(self)

    def _next(self, most: int) -> Sequence[Replica]:
        """Return up to `most` replicas that are well, another first each time."""
        well = [replica for replica in self._replicas if replica.is_well]
        if not well:
            return []
        first = next(self._turn) % len(well)
        return [*well[first:], *well[:first]][:most]


class _WantingChannel:
    """A channel to a replica, whose calls say which beat the answer must include."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def unary_unary(self, *method: Any, **options: Any) -> Callable[..., Any]:
        call: Callable[..., Any] = self._channel.unary_unary(*method, **options)

        def start(*request: Any, metadata: Any = (), **arguments: Any) -> Any:
            wanted = _wanted_beat.get()
            added = ((_BEAT_KEY, wanted),) if wanted else ()
            return call(*request, metadata=(*(metadata or ()), *added), **arguments)

        return start


class _NotingChannel:
    """A channel to the writer that notes the newest beat that answers to changes name."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self.newest_beat = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def unary_unary(self, *method: Any, **options: Any) -> Callable[..., Any]:
        call: Callable[..., Any] = self._channel.unary_unary(*method, **options)
        return lambda *request, **arguments: _NotedCall(call(*request, **arguments), self)

    def stream_unary(self, *method: Any, **options: Any) -> Callable[..., Any]:
        call: Callable[..., Any] = self._channel.stream_unary(*method, **options)
        return lambda *request, **arguments: _NotedCall(call(*request, **arguments), self)


class _NotedCall:
    """A call whose trailing metadata is read when its answer is awaited."""

    def __init__(self, call: Any, channel: _NotingChannel) -> None:
        self._call = call
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._answer().__await__()

    async def _answer(self) -> Any:
        response = await self._call
        for key, value in await self._call.trailing_metadata() or ():
            if key == _BEAT_KEY and _order(str(value)) > _order(self._channel.newest_beat):
                self._channel.newest_beat = str(value)
        return response


def _order(beat: str) -> tuple[int, str, int]:
    """Return what orders beats; see `index_service/replication/records.py`."""
    if not beat:
        return 0, "", 0
    term, writer, number = beat.split("-")
    return int(term), writer, int(number)
