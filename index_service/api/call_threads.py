"""Work on the call threads for a caller that may leave.

A thread cannot be interrupted, but what it has SQLite read is (`abandoned`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from index_service.abandoned import run_until

T = TypeVar("T")


async def read(threads: Executor, work: Callable[[], T]) -> T:
    """Run `work`, which changes nothing, on a thread; if the call is cancelled, do not wait for the end."""
    left = threading.Event()
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, run_until, left, work)
    finally:
        left.set()


async def run_to_end(threads: Executor, work: Callable[[], T], left: threading.Event | None = None) -> T:
    """Run `work` on a thread; if the call is cancelled, raise the cancellation only after the work has ended.

    So the thread no longer uses what is closed or removed next. A cancellation also sets `left`.
    """
    step = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        if left is not None:
            left.set()
        await asyncio.wait([step])
        if left is not None and not step.cancelled():
            step.exception()  # the caller, which would have received it, has left
        raise


async def steps(threads: Executor, generator: Generator[T, None, None]) -> AsyncGenerator[T, None]:
    """Yield from a generator that changes nothing, running each step on a thread; always close it.

    If the caller leaves, SQLite stops reading, and the current step ends.
    """
    left = threading.Event()
    following = partial(run_until, left, lambda: next(generator, None))
    try:
        while (step := await run_to_end(threads, following, left)) is not None:
            yield step
    finally:
        await run_to_end(threads, generator.close)
