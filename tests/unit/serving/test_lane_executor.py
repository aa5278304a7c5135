"""Threads that do interactive work first."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from serving import lanes
from serving.lane_executor import LaneExecutor

DEADLINE = 10.0


class Picture:
    """What work is done on."""


@contextmanager
def held() -> Iterator[tuple[LaneExecutor, threading.Event]]:
    """Yield an executor whose one thread is busy until the event is set."""
    with LaneExecutor(1, "test") as executor:
        busy, go = threading.Event(), threading.Event()
        executor.submit(lambda: (busy.set(), go.wait(DEADLINE)))
        assert busy.wait(DEADLINE)
        try:
            yield executor, go
        finally:
            go.set()


def test_interactive_work_goes_first_and_every_fourth_turn_is_for_bulk_work() -> None:
    done: list[str] = []
    with held() as (executor, go):
        with lanes.bulk():
            work = [executor.submit(done.append, f"bulk {number}") for number in range(3)]
        work += [executor.submit(done.append, f"search {number}") for number in range(4)]
        go.set()
        for each in work:
            each.result(DEADLINE)
    assert done == ["search 0", "search 1", "bulk 0", "search 2", "search 3", "bulk 1", "bulk 2"]


async def test_work_whose_caller_is_gone_is_not_begun() -> None:
    done: list[str] = []
    with held() as (executor, go):
        loop = asyncio.get_running_loop()
        gone = loop.run_in_executor(executor, done.append, "gone")
        stays = loop.run_in_executor(executor, done.append, "stays")
        gone.cancel()
        await asyncio.sleep(0)
        go.set()
        async with asyncio.timeout(DEADLINE):
            await stays
    assert done == ["stays"]


async def test_what_a_caller_that_is_gone_handed_over_is_forgotten_while_the_threads_are_busy() -> None:
    picture = Picture()
    kept = weakref.ref(picture)
    with held() as (executor, _):
        gone = asyncio.get_running_loop().run_in_executor(executor, id, picture)
        del picture
        gone.cancel()
        async with asyncio.timeout(DEADLINE):
            while kept() is not None:  # noqa: ASYNC110 — nothing else shows it
                await asyncio.sleep(0)


def test_work_that_waits_is_cancelled_at_shutdown_if_so_asked() -> None:
    with held() as (executor, go):
        waits = executor.submit(int)
        executor.shutdown(wait=False, cancel_futures=True)
        assert waits.cancelled()
        go.set()


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    with LaneExecutor(1, "test") as executor, pytest.raises(ZeroDivisionError):
        executor.submit(lambda: 1 / 0).result(DEADLINE)
