"""A gateway with two embedders: who gets calls, and how both come to the same model."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2
from semsearch.v1 import model_service_pb2 as models
from semsearch.v1 import query_pb2 as query
from semsearch.v1 import search_service_pb2 as search

from tests.ports import free_ports
from tests.services.gateway_stack import (
    CALL_SECONDS,
    START_SECONDS,
    ColorEmbedderServicer,
    Stack,
    color_embedder,
    image,
    service,
    wait_for_health,
)
from tests.unit.gateway.doubles import MODEL, OTHER_MODEL, picture

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREPARING = "semsearch.v1.ModelService/preparing-embedders"
FOLLOWING = "semsearch.v1.ModelService/following-embedder"


@dataclass
class Suite:
    """The gateway, and its embedders while they run."""

    stack: Stack
    ports: list[int]
    embedders: dict[int, ColorEmbedderServicer] = field(default_factory=dict)
    exits: dict[int, AsyncExitStack] = field(default_factory=dict)
    weights: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def start(self, number: int) -> ColorEmbedderServicer:
        self.exits[number] = AsyncExitStack()
        servicer, _ = await self.exits[number].enter_async_context(color_embedder(self.ports[number]))
        self.embedders[number] = servicer
        return servicer

    async def stop(self, number: int) -> None:
        await self.exits.pop(number).aclose()

    async def search(self, times: int = 1) -> None:
        """Search for words that were never searched for; every search has to be answered."""
        for _ in range(times):
            terms = [query.Term(text="red", weight=1.0), query.Term(text="green", weight=next(self.weights) / 1e4)]
            request = search.SearchByTextRequest(terms=terms, min_relevance=0.0)
            response = await self.stack.search.SearchByText(request, timeout=CALL_SECONDS)
            assert [match.image.id for match in response.matches][:1] == ["red"]

    async def search_until(self, number: int) -> None:
        """Search until an embedder has got a search."""
        before = len(self.embedders[number].deadlines)
        async with asyncio.timeout(START_SECONDS):
            while len(self.embedders[number].deadlines) == before:
                await self.search()

    async def activate(self, model_id: str) -> None:
        async for _ in self.stack.models.ActivateModel(models.ActivateModelRequest(id=model_id), timeout=CALL_SECONDS):
            pass

    async def model_ids(self) -> list[str]:
        listed = await self.stack.models.ListModels(models.ListModelsRequest(), timeout=CALL_SECONDS)
        return [model.id for model in listed.models]

    async def wait_for(self, name: str, *, serving: bool) -> None:
        wanted = health_pb2.HealthCheckResponse
        await wait_for_health(self.stack.channel, name, wanted.SERVING if serving else wanted.NOT_SERVING)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    root: Path = tmp_path_factory.mktemp("several")
    ports = list(free_ports(2))
    async with (
        service("index_service", "--port=0", f"--data={root}") as index,
        service(
            "gateway",
            "--port=0",
            f"--data={root}",
            f"--embedder=127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}",
            f"--index={index.address}",
        ) as gateway,
        grpc.aio.insecure_channel(gateway.address) as channel,
    ):
        suite = Suite(Stack(channel, ColorEmbedderServicer.__new__(ColorEmbedderServicer), root), ports)
        for number in range(2):
            await suite.start(number)
        await suite.stack.wait_until_serving("")
        [result] = await suite.stack.index("gallery", [image(0, picture("red"), "red")])
        assert not result.status.code
        yield suite
        for number in list(suite.exits):
            await suite.stop(number)


async def test_searches_continue_while_an_embedder_is_away_and_reach_it_again(suite: Suite) -> None:
    for number in range(2):
        await suite.search_until(number)
    await suite.stop(1)
    await suite.search(20)
    await suite.wait_for(FOLLOWING, serving=False)
    await suite.start(1)
    await suite.search_until(1)
    await suite.wait_for(FOLLOWING, serving=True)


async def test_an_embedder_without_the_serving_model_gets_no_calls_until_it_has_it(
    suite: Suite,
) -> None:
    having, without = suite.embedders[0].embedder, suite.embedders[1].embedder
    del without.models[OTHER_MODEL.id]
    suite.embedders[1].takes_models = False
    async with asyncio.timeout(START_SECONDS):
        while OTHER_MODEL.id not in await suite.model_ids():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await suite.activate(OTHER_MODEL.id)
    await suite.wait_for(PREPARING, serving=False)
    before = len(suite.embedders[1].deadlines)
    await suite.search(20)
    assert len(suite.embedders[1].deadlines) == before
    suite.embedders[1].takes_models = True
    await suite.wait_for(PREPARING, serving=True)
    await suite.search_until(1)
    assert (having.model.id, without.model.id) == (OTHER_MODEL.id, OTHER_MODEL.id)


async def test_an_embedder_that_was_away_during_a_switch_follows_it(suite: Suite) -> None:
    serving = (await suite.stack.models.GetModel(models.GetModelRequest())).model.id
    target = ({MODEL.id, OTHER_MODEL.id} - {serving}).pop()
    for embedder in suite.embedders.values():
        embedder.embedder.models |= {MODEL.id: MODEL, OTHER_MODEL.id: OTHER_MODEL}
    await suite.stop(1)
    await suite.activate(target)
    back = await suite.start(1)
    back.embedder.models |= {MODEL.id: MODEL, OTHER_MODEL.id: OTHER_MODEL}
    await back.embedder.activate_model(serving)
    async with asyncio.timeout(START_SECONDS):
        while back.embedder.model.id != target:
            await suite.search()
    assert (await suite.stack.models.GetModel(models.GetModelRequest())).model.id == target
