"""A change is given up when this process stops being the owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from gateway.api.interruption import in_term, stream_in_term
from gateway.errors import ImageNotFound, OwnerChanged
from gateway.lease import Term


async def test_a_change_returns_its_result_or_raises_its_error() -> None:
    async def change() -> int:
        return 3

    async def failing() -> int:
        raise ImageNotFound("c", "i")

    assert await in_term(Term(), change()) == 3
    with pytest.raises(ImageNotFound):
        await in_term(Term(), failing())


async def test_the_end_of_the_term_cancels_a_change() -> None:
    term, begun, ended = Term(), asyncio.Event(), asyncio.Event()

    async def change() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(in_term(term, change()))
    await begun.wait()
    term.end()
    with pytest.raises(OwnerChanged):
        await running
    assert ended.is_set()


async def test_a_caller_that_leaves_cancels_its_change() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def change() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(in_term(Term(), change()))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


async def test_a_stream_runs_in_one_task_and_ends_with_the_term() -> None:
    term, closed = Term(), asyncio.Event()
    tasks: set[object] = set()

    async def change(count: int) -> AsyncGenerator[int, None]:
        try:
            for number in range(count):
                tasks.add(asyncio.current_task())
                yield number
            if count > 3:
                await asyncio.Event().wait()
        finally:
            closed.set()

    assert [each async for each in stream_in_term(term, change(3))] == [0, 1, 2]
    assert len(tasks) == 1
    closed.clear()
    stream = stream_in_term(term, change(5))
    assert [await anext(stream) for _ in range(5)] == [0, 1, 2, 3, 4]
    term.end()
    with pytest.raises(OwnerChanged):
        await anext(stream)
    assert closed.is_set()


async def test_a_stream_whose_caller_leaves_is_closed() -> None:
    closed = asyncio.Event()

    async def change() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    stream = stream_in_term(Term(), change())
    assert await anext(stream) == 1
    await stream.aclose()
    assert closed.is_set()
