"""A call's work, which other tasks may end with an error that says why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast


@dataclass(eq=False)
class Running:
    """Work in progress; `end` cancels it, and its caller gets `error` in place of the cancellation."""

    task: asyncio.Task[Any]
    error: Exception | None = None
    is_over: bool = False

    def end(self, error: Exception) -> None:
        """End the work, whatever it waits for; only the first error counts, and none after the work is over."""
        if self.error is None and not self.is_over:
            self.error = error
            self.task.cancel()


@contextmanager
def running() -> Iterator[Running]:
    """Return a context around work of the current task; raises the error with which the work was ended."""
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    work = Running(task)
    try:
        yield work
    except asyncio.CancelledError:
        if work.error is None:
            raise
        task.uncancel()
        raise work.error from None
    finally:
        work.is_over = True
