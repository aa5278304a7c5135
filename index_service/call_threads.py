"""Long work on the call threads whose caller may go away: what is under way there is waited for, then left.

A thread cannot be interrupted. Where a call is cancelled, its task goes on only after the step at hand has ended, so
that what is closed or removed next is not in use any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


async def run_to_end(threads: Executor, work: Callable[[], T]) -> T:
    """Run `work` on a thread; if the call is cancelled, raise that only after the work has ended."""
    step = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        await asyncio.wait([step])
        raise


async def steps(threads: Executor, generator: Generator[T, None, None]) -> AsyncGenerator[T, None]:
    """Yield from a generator, each step on a thread; close it at the end, also if the caller leaves."""
    try:
        while (step := await run_to_end(threads, lambda: next(generator, None))) is not None:
            yield step
    finally:
        await run_to_end(threads, generator.close)
