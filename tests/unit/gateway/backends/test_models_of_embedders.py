"""A model that no embedder has at the moment: it is missing only if none of those that are away may have it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.backends import embedder_pool
from gateway.backends.embedder_addresses import EmbedderAddresses
from gateway.backends.embedder_pool import EmbedderPool, open_pool
from gateway.backends.embedding import ImageInput
from gateway.backends.refusals import ModelNotFound
from gateway.errors import DependencyUnavailable
from gateway.readiness import Readiness
from serving.channels import Channels
from tests.ports import free_ports
from tests.services.gateway_stack import color_embedder
from tests.unit.gateway.core import until
from tests.unit.gateway.doubles import MODEL, OTHER_MODEL, picture

IMAGE = ImageInput(picture("red"))


@dataclass
class Embedders:
    """Two embedders behind one name, while they run; the first may have both models, the second has one."""

    ports: list[int]
    pool: EmbedderPool
    named: set[str]
    running: dict[int, AsyncExitStack] = field(default_factory=dict)

    async def start(self, number: int, *model_ids: str) -> None:
        self.running[number] = AsyncExitStack()
        servicer, _ = await self.running[number].enter_async_context(color_embedder(self.ports[number]))
        for model_id in {MODEL.id, OTHER_MODEL.id} - set(model_ids):
            del servicer.embedder.models[model_id]

    async def stop(self, number: int) -> None:
        await self.running.pop(number).aclose()

    async def wait_until_well(self, *numbers: int) -> None:
        wanted = [f"127.0.0.1:{self.ports[number]}" for number in numbers]
        await until(lambda: [node.address for node in self.pool.nodes] == sorted(wanted))

    async def ask_for_other_model(self) -> None:
        await (await self.pool.with_model(OTHER_MODEL.id)).get_model(OTHER_MODEL.id)

    async def embed_with_other_model(self) -> None:
        await self.pool.bulk.embed([IMAGE], OTHER_MODEL.id, 1.0)


@pytest.fixture
async def embedders(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Embedders]:
    ports = list(free_ports(2))
    named = {f"127.0.0.1:{port}" for port in ports}

    async def look_up(_: EmbedderAddresses) -> frozenset[str]:
        return frozenset(named)

    monkeypatch.setattr(EmbedderAddresses, "look_up", look_up)
    monkeypatch.setattr(embedder_pool, "_LOOK_SECONDS", 0.05)
    async with open_pool(",".join(sorted(named)), Channels(2**22)) as pool, following(pool):
        embedders = Embedders(ports, pool, named)
        yield embedders
        for number in list(embedders.running):
            await embedders.stop(number)


@asynccontextmanager
async def following(pool: EmbedderPool) -> AsyncIterator[None]:
    task = asyncio.create_task(pool.keep_following(Readiness()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_model_that_all_embedders_lack_is_missing(embedders: Embedders) -> None:
    await embedders.start(0, MODEL.id)
    await embedders.start(1, MODEL.id)
    await embedders.wait_until_well(0, 1)
    for asks in (embedders.ask_for_other_model, embedders.embed_with_other_model):
        with pytest.raises(ModelNotFound):
            await asks()


async def test_an_embedder_that_was_never_seen_may_have_a_model(embedders: Embedders) -> None:
    await embedders.start(1, MODEL.id)
    await embedders.wait_until_well(1)
    for asks in (embedders.ask_for_other_model, embedders.embed_with_other_model):
        with pytest.raises(DependencyUnavailable):
            await asks()


@pytest.mark.parametrize("error", [DependencyUnavailable, ModelNotFound])
async def test_an_embedder_that_is_away_may_have_what_it_had(embedders: Embedders, error: type[Exception]) -> None:
    had = [MODEL.id, OTHER_MODEL.id] if error is DependencyUnavailable else [MODEL.id]
    await embedders.start(0, *had)
    await embedders.start(1, MODEL.id)
    await embedders.wait_until_well(0, 1)
    await embedders.stop(0)
    await embedders.wait_until_well(1)
    for asks in (embedders.ask_for_other_model, embedders.embed_with_other_model):
        with pytest.raises(error):
            await asks()


async def test_an_embedder_that_its_name_lacks_while_it_is_restarted_may_have_what_it_had(
    embedders: Embedders, monkeypatch: pytest.MonkeyPatch
) -> None:
    await embedders.start(0, MODEL.id, OTHER_MODEL.id)
    await embedders.start(1, MODEL.id)
    await embedders.wait_until_well(0, 1)
    embedders.named.remove(f"127.0.0.1:{embedders.ports[0]}")
    await embedders.wait_until_well(1)
    await embedders.stop(0)
    with pytest.raises(DependencyUnavailable):
        await embedders.ask_for_other_model()
    monkeypatch.setattr(embedder_pool, "_RETURN_SECONDS", 0.0)
    with pytest.raises(ModelNotFound):
        await embedders.ask_for_other_model()
