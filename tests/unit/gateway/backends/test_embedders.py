"""Several embedders as one, over doubles of the embedders and of the record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typing_extensions import override

from gateway.backends.embedder_pool import EmbedderPool
from gateway.backends.embedders import RECORD, Embedders
from gateway.backends.embedding import Model, PullProgress, TextQuery
from gateway.errors import DependencyUnavailable, GatewayError
from tests.unit.gateway.doubles import MODEL, OTHER_MODEL, ColorEmbedder, MemoryRecords


class Broken(ColorEmbedder):
    """An embedder that makes and loads no model."""

    @override
    async def activate_model(self, model_id: str) -> Model:
        raise DependencyUnavailable("embedder")

    @override
    async def pull_model(self, recipe: str) -> Any:
        raise DependencyUnavailable("embedder")
        yield


def together(*embedders: ColorEmbedder) -> tuple[Embedders, MemoryRecords]:
    """Return the embedders as one, as if all of them were well."""

    async def with_model(model_id: str) -> ColorEmbedder:
        return next((each for each in embedders if model_id in each.models), embedders[0])

    async def look(*_: object) -> None:
        for node in nodes:
            node.models = frozenset(node.client.models)
            node.active = node.client.model.id

    nodes = [
        SimpleNamespace(address=f"embedder-{number}", client=each, models=frozenset(each.models), active=each.model.id)
        for number, each in enumerate(embedders)
    ]
    pool = SimpleNamespace(
        several=True, nodes=nodes, everyone=embedders[0], with_model=with_model, look=look, look_at_all=look
    )
    records = MemoryRecords()
    return Embedders(cast(EmbedderPool, pool), records), records


async def pulled(embedders: Embedders) -> Sequence[PullProgress]:
    return [progress async for progress in embedders.pull_model("recipe")]


async def test_the_first_gateway_records_the_model_that_serves() -> None:
    embedders, records = together(ColorEmbedder(), ColorEmbedder())
    assert (await embedders.embed_texts([TextQuery("red")])).model_id == MODEL.id
    assert records.values == {RECORD: MODEL.id.encode()}


async def test_the_record_decides_which_model_serves_whatever_the_embedders_say() -> None:
    embedders, records = together(ColorEmbedder(), ColorEmbedder())
    records.values[RECORD] = OTHER_MODEL.id.encode()
    assert (await embedders.embed_texts([TextQuery("red")])).model_id == OTHER_MODEL.id
    assert (await embedders.get_model())[0].id == OTHER_MODEL.id
    assert [model.id for model in await embedders.list_models() if model.active] == [OTHER_MODEL.id]


async def test_a_model_is_active_once_one_embedder_can_serve_it() -> None:
    well = ColorEmbedder()
    embedders, records = together(Broken(), well)
    assert (await embedders.activate_model(OTHER_MODEL.id)).active
    assert (records.values[RECORD], well.model.id) == (OTHER_MODEL.id.encode(), OTHER_MODEL.id)


async def test_a_model_that_no_embedder_can_serve_does_not_become_active() -> None:
    embedders, records = together(Broken(), Broken())
    with pytest.raises(DependencyUnavailable):
        await embedders.activate_model(OTHER_MODEL.id)
    assert not records.values


async def test_a_pull_makes_the_model_on_all_and_reports_the_sum() -> None:
    both = [ColorEmbedder(), ColorEmbedder()]
    for each in both:
        each.pulls = {"recipe": [PullProgress(5, 10), PullProgress(10, 10, OTHER_MODEL)]}
    embedders, _ = together(*both)
    last = (await pulled(embedders))[-1]
    assert (last.bytes_done, last.bytes_total, last.model) == (20, 20, OTHER_MODEL)


@pytest.mark.parametrize("broken", [1, 2])
async def test_a_pull_fails_only_if_it_fails_everywhere(broken: int) -> None:
    well = ColorEmbedder()
    well.pulls = {"recipe": [PullProgress(10, 10, OTHER_MODEL)]}
    embedders, _ = together(*[Broken() for _ in range(broken)], *([well] if broken == 1 else []))
    if broken == 1:
        assert (await pulled(embedders))[-1].model == OTHER_MODEL
    else:
        with pytest.raises(GatewayError):
            await pulled(embedders)


async def test_a_pull_on_several_embedders_can_be_stopped() -> None:
    class Endless(ColorEmbedder):
        """An embedder whose pull never ends; closing it counts as stopped."""

        is_stopped = False

        @override
        async def pull_model(self, recipe: str) -> AsyncGenerator[PullProgress, None]:
            try:
                yield PullProgress(5, 10)
                await asyncio.Event().wait()
            finally:
                self.is_stopped = True

    both = [Endless(), Endless()]
    embedders, _ = together(*both)
    async with aclosing(embedders.pull_model("recipe")) as pull:
        await anext(pull)
    assert all(each.is_stopped for each in both)
