"""Long work on the call threads for a caller that may cancel.

A thread cannot be interrupted. A cancelled call waits until its current step has ended, so that the thread no longer
uses what is closed or removed next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


async def run_to_end(threads: Executor, work: Callable[[], T]) -> T:
    """Run `work` on a thread; if the call is cancelled, raise the cancellation only after the work has ended."""
    step = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        await asyncio.wait([step])
        raise


async def steps(threads: Executor, generator: Generator[T, None, None]) -> AsyncGenerator[T, None]:
    """Yield from a generator, running each step on a thread; always close it, even if the caller leaves."""
    try:
        while (step := await run_to_end(threads, lambda: next(generator, None))) is not None:
            yield step
    finally:
        await run_to_end(threads, generator.close)
