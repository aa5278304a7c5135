"""Give changes up when this process stops being the owner.

A change runs in a task of its own, which is cancelled at the end of the term; its caller gets `OwnerChanged`. The
index service refuses whatever such a change would still have written (see `gateway.lease`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from gateway.errors import OwnerChanged
from gateway.lease import Term

T = TypeVar("T")


async def in_term(term: Term, change: Coroutine[Any, Any, T]) -> T:
    """Run a change and return its result; raises `OwnerChanged` if the term ends before."""
    async with _running(term, change) as work:
        await asyncio.wait([work])
        if work.cancelled() and term.ended.is_set():
            raise OwnerChanged
        return work.result()


async def stream_in_term(term: Term, change: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Run a change and yield its responses; raises `OwnerChanged` if the term ends before."""
    responses: asyncio.Queue[T] = asyncio.Queue(1)

    async def run() -> None:
        async with aclosing(change):
            async for response in change:
                await responses.put(response)

    async with _running(term, run()) as work:
        while not (work.done() and responses.empty()):
            response = asyncio.ensure_future(responses.get())
            try:
                await asyncio.wait([work, response], return_when=asyncio.FIRST_COMPLETED)
                if response.done():
                    yield response.result()
            finally:
                response.cancel()
        if work.cancelled() and term.ended.is_set():
            raise OwnerChanged
        work.result()


@asynccontextmanager
async def _running(term: Term, change: Coroutine[Any, Any, T]) -> AsyncGenerator[asyncio.Task[T], None]:
    """Run a change as a task, which is cancelled when the term or the `with` block ends."""
    work = asyncio.create_task(change)

    async def cancel_at_end() -> None:
        await term.ended.wait()
        work.cancel()

    cancelling = asyncio.create_task(cancel_at_end())
    try:
        yield work
    finally:
        cancelling.cancel()
        work.cancel()
        await asyncio.wait([work])
