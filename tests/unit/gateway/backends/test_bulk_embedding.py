from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from typing_extensions import override

from gateway.backends import bulk_embedding
from gateway.backends.bulk_embedding import CALLS, BulkEmbedding
from gateway.backends.embedding import ImageEmbedding, ImageEmbeddings, ImageInput
from gateway.backends.refusals import ModelNotFound, Overloaded, Refused
from gateway.errors import DependencyUnavailable
from serving import deadlines
from tests.unit.gateway.core import until
from tests.unit.gateway.doubles import ColorEmbedder, overloaded, picture, refusal

REDS = [ImageInput(picture("red", seed=number)) for number in range(5)]
SIZE = max(len(each.content) for each in REDS)


class Watched(ColorEmbedder):
    """Records the number of images of each call; refuses the first `refusals` calls."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__()
        self.calls: list[int] = []
        self._refusals = refusals

    @override
    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        self.calls.append(len(images))
        if self._refusals:
            self._refusals -= 1
            raise overloaded(0.001)
        return await super().embed_images(images, model_id)


@pytest.mark.parametrize(("most", "calls"), [(2 * SIZE, [2, 2, 1]), (SIZE - 1, [1] * 5), (5 * SIZE, [5])])
async def test_a_call_has_at_most_the_configured_size_or_one_image(most: int, calls: list[int]) -> None:
    embedder = Watched()
    results = await BulkEmbedding(embedder).embed(REDS, "", 1.0, most)
    assert all(isinstance(each, ImageEmbedding) for each in results)
    assert embedder.calls == calls


async def test_only_refused_images_are_sent_again() -> None:
    embedder = Watched(refusals=1)
    results = await BulkEmbedding(embedder).embed(REDS, "", 1.0, 2 * SIZE)
    assert all(isinstance(each, ImageEmbedding) for each in results)
    assert sorted(embedder.calls) == [1, 2, 2, 2]


async def test_images_refused_repeatedly_are_reported() -> None:
    results = await BulkEmbedding(Watched(refusals=10**6)).embed(REDS, "", 0.01, 2 * SIZE)
    assert all(isinstance(each, Overloaded) for each in results)


class Stuck(ColorEmbedder):
    """Answers once it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()
        self.calls = 0

    @override
    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        self.calls += 1
        await self.released.wait()
        return await super().embed_images(images, model_id)


class Failing(ColorEmbedder):
    """Answers every call with an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.calls = 0

    @override
    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        self.calls += 1
        raise self.error


def spread(*embedders: ColorEmbedder) -> BulkEmbedding:
    bulk = BulkEmbedding(embedders[0])
    for number, embedder in enumerate(embedders):
        bulk.put(f"embedder-{number}", embedder)
    return bulk


async def test_a_slow_embedder_holds_only_its_own_calls() -> None:
    slow, fast = Stuck(), ColorEmbedder()
    bulk = spread(slow, fast)
    calls = [asyncio.create_task(bulk.embed([each], "", 1.0)) for each in REDS * 20]
    await until(lambda: fast.embedded_images + slow.calls == len(calls))
    assert 1 <= slow.calls <= CALLS
    slow.released.set()
    results = await asyncio.gather(*calls)
    assert all(isinstance(result, ImageEmbedding) for [result] in results)


@pytest.mark.parametrize(
    "error",
    [
        overloaded(3600.0),
        DependencyUnavailable("embedder"),
        TimeoutError("no answer"),
        Refused(refusal("INTERNAL", "a fault")),
        ModelNotFound(refusal("MODEL_NOT_FOUND", "another model")),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_one_embedder_does_not_do_another_does(error: Exception) -> None:
    failing, well = Failing(error), ColorEmbedder()
    async with asyncio.timeout(5):
        results = await spread(failing, well).embed(REDS, "", 60.0, SIZE)
    assert all(isinstance(each, ImageEmbedding) for each in results)
    assert well.embedded_images == len(REDS)
    assert 1 <= failing.calls <= CALLS  # then it is left alone


async def test_an_error_that_all_embedders_answer_is_raised() -> None:
    bulk = spread(Failing(DependencyUnavailable("embedder")), Failing(DependencyUnavailable("embedder")))
    with pytest.raises(DependencyUnavailable):
        await bulk.embed(REDS, "", 60.0)


@pytest.mark.parametrize("embedders", [1, 2])
async def test_embedders_that_are_all_silent_are_unavailable_so_that_the_caller_tries_again(embedders: int) -> None:
    bulk = spread(*(Failing(TimeoutError("no answer")) for _ in range(embedders)))
    async with asyncio.timeout(5):
        with pytest.raises(DependencyUnavailable):
            await bulk.embed(REDS, "", 60.0)


async def test_a_silent_embedder_gets_no_more_calls_for_longer_than_one_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_embedding, "_FAILED_SECONDS", 0.0)
    silent, well = Failing(TimeoutError("no answer")), ColorEmbedder()
    bulk = spread(silent, well)
    for _ in range(20):
        await bulk.embed(REDS, "", 60.0, SIZE)
    assert 1 <= silent.calls <= CALLS


async def test_at_the_deadline_of_the_caller_no_other_embedder_is_asked() -> None:
    deadlines.begin(0.0)
    silent, well = Failing(TimeoutError("no answer")), ColorEmbedder()
    with pytest.raises(TimeoutError):
        await spread(silent, well).embed(REDS, "", 60.0)
    assert well.embedded_images == 0


async def test_an_embedder_without_the_model_gets_no_calls() -> None:
    without, having = ColorEmbedder(), ColorEmbedder()
    bulk = spread(without, having)
    bulk.put("embedder-0", without, frozenset({"other@sha256:0"}))
    assert len(await bulk.embed(REDS, having.model.id, 1.0, SIZE)) == len(REDS)
    assert (without.embedded_images, having.embedded_images) == (0, len(REDS))


async def test_calls_that_wait_for_an_embedder_that_leaves_go_on() -> None:
    leaving = Stuck()
    bulk = spread(leaving)
    calls = [asyncio.create_task(bulk.embed([each], "", 1.0)) for each in REDS]
    await until(lambda: leaving.calls == CALLS)
    bulk.remove("embedder-0")
    await until(lambda: leaving.calls == len(REDS))  # as the fallback
    leaving.released.set()
    await asyncio.gather(*calls)


async def test_a_caller_that_leaves_gives_its_room_back() -> None:
    embedder = Stuck()
    bulk = spread(embedder)
    calls = [asyncio.create_task(bulk.embed([each], "", 1.0)) for each in REDS]
    await until(lambda: embedder.calls == CALLS)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    embedder.released.set()
    assert len(await bulk.embed(REDS, "", 1.0)) == len(REDS)


async def test_callers_that_leave_together_are_cancelled() -> None:
    embedder = Stuck()
    bulk = spread(embedder)
    calls = [asyncio.create_task(bulk.embed([each], "", 1.0)) for each in REDS]
    await until(lambda: embedder.calls == CALLS)
    for call in calls:  # those that are answered first make room for others that have left too
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * len(REDS)
