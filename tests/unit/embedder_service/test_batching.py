"""Batches of a model that waits until it is released, so that nothing depends on time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder_service.batching import Batched, Batcher, open_batcher
from serving import lanes
from tests.unit.embedder_service.held_model import DEADLINE, HeldModel


def picture(number: int) -> NDArray[np.uint8]:
    return np.full((2, 2, 3), number, np.uint8)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def start(batcher: Batcher, *numbers: int) -> list[asyncio.Task[Batched]]:
    return [asyncio.create_task(batcher.embed(picture(number))) for number in numbers]


async def finish(tasks: list[asyncio.Task[Batched]]) -> list[float]:
    done: Awaitable[list[Batched]] = asyncio.gather(*tasks)
    return [float(each.vector[0]) for each in await asyncio.wait_for(done, DEADLINE)]


async def test_images_waiting_for_the_model_are_the_next_batch() -> None:
    model = HeldModel()
    async with open_batcher(model, max_batch=4) as batcher:
        first = start(batcher, 1)
        await model.wait_for_start()
        rest = start(batcher, 2, 3, 4, 5, 6)
        await turns()
        model.release(3)
        assert await finish(first + rest) == [1, 2, 3, 4, 5, 6]
    assert model.batches == [[1], [2, 3, 4, 5], [6]]


async def test_interactive_images_go_first_and_bulk_ones_follow_in_small_batches() -> None:
    model = HeldModel()
    async with open_batcher(model, max_batch=8) as batcher:
        with lanes.bulk():
            bulk = start(batcher, 1)
            await model.wait_for_start()
            bulk += start(batcher, 2, 3, 4, 5, 6)
        searches = start(batcher, 101)
        await turns()
        model.release(5)
        assert await finish(searches + bulk) == [101, 1, 2, 3, 4, 5, 6]
    assert model.batches == [[1], [101], [2, 3], [4, 5], [6]]


async def test_bulk_images_have_every_fourth_batch_while_interactive_ones_wait() -> None:
    model = HeldModel()
    async with open_batcher(model, max_batch=1) as batcher:
        first = start(batcher, 100)
        await model.wait_for_start()
        searches = start(batcher, 101, 102, 103, 104)
        with lanes.bulk():
            bulk = start(batcher, 1, 2)
        await turns()
        model.release(7)
        await finish(first + searches + bulk)
    assert model.batches == [[100], [101], [102], [1], [103], [104], [2]]


async def test_an_image_is_dropped_when_its_caller_is_gone() -> None:
    model = HeldModel()
    async with open_batcher(model, max_batch=4) as batcher:
        first = start(batcher, 1)
        await model.wait_for_start()
        gone, stays = start(batcher, 2, 3)
        await turns()
        gone.cancel()
        model.release(2)
        assert await finish([*first, stays]) == [1, 3]
    assert model.batches == [[1], [3]]


@pytest.mark.parametrize("max_batch", [1, 2])
async def test_an_interactive_image_is_answered_if_the_uploads_whose_turn_it_is_are_gone(max_batch: int) -> None:
    model = HeldModel()
    async with open_batcher(model, max_batch) as batcher:
        first = start(batcher, *range(100, 100 + 3 * max_batch))
        await model.wait_for_start()
        with lanes.bulk():
            gone = start(batcher, *range(max_batch))
        search = start(batcher, 200)
        model.release(2)
        await finish(first[: 2 * max_batch])
        for each in gone:
            each.cancel()
        model.release(2)
        assert await finish([*first, *search]) == [*range(100, 100 + 3 * max_batch), 200]


async def test_a_caller_leaving_during_a_batch_affects_no_other() -> None:
    model = HeldModel()
    async with open_batcher(model, max_batch=4) as batcher:
        gone, stays = start(batcher, 1, 2)
        await model.wait_for_start()
        gone.cancel()
        model.release()
        assert await finish([stays]) == [2]


async def test_a_model_error_fails_only_its_batch() -> None:
    model = HeldModel()
    async with open_batcher(model, max_batch=4) as batcher:
        model.failure = RuntimeError("out of memory")
        failing = start(batcher, 1, 2)
        model.release()
        for task in failing:
            with pytest.raises(RuntimeError, match="out of memory"):
                await asyncio.wait_for(task, DEADLINE)
        model.failure = None
        model.release()
        assert await finish(start(batcher, 3)) == [3]


async def test_when_an_image_waited_and_the_model_ran_is_reported() -> None:
    model = HeldModel()
    async with open_batcher(model, max_batch=1) as batcher:
        tasks = start(batcher, 1, 2)
        model.release(2)
        first, second = await asyncio.wait_for(asyncio.gather(*tasks), DEADLINE)
    assert first.arrived <= first.began < first.ended <= second.began
    assert (first.images, second.images) == (1, 1)
