"""Patience with a service that is just being restarted: calls to it wait a moment, in place of failing."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress

from serving import deadlines

_REPORT_SECONDS = 1.0


class Patience:
    """Whether a service is there, and for how long calls wait for it once it has gone.

    Whoever follows its health reports here. Until its first report that it is there, no call waits. One that has been
    away for `seconds` is not waited for any more: then calls fail at once, as they should while nothing answers.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._gone_at: float | None = None
        self._went_at = -math.inf
        self._is_there = asyncio.Event()
        self._is_gone = asyncio.Event()

    def report(self, is_there: bool) -> None:
        """Record whether the service is there."""
        if is_there:
            self._gone_at = None
            self._is_there.set()
            self._is_gone.clear()
        elif self._is_there.is_set():
            self._gone_at = self._went_at = time.monotonic()
            self._is_there.clear()
            self._is_gone.set()

    async def wait(self) -> None:
        """Return when the service is there, or is not waited for; within the deadline of the current call."""
        if self._gone_at is None:
            return
        left = deadlines.cap(self._gone_at + self._seconds - time.monotonic())
        if left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._is_there.wait()

    async def has_gone_since(self, began: float) -> bool:
        """Return whether the service has gone since a time on the monotonic clock.

        A call may fail before its service is reported as gone, so this waits a moment for the report.
        """
        if self._is_there.is_set() and self._went_at < began:
            with suppress(TimeoutError):
                async with asyncio.timeout(deadlines.cap(_REPORT_SECONDS)):
                    await self._is_gone.wait()
        return self._went_at >= began
