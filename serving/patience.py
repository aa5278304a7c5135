"""Patience with a service that is just being restarted: calls to it wait a moment, in place of failing."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from serving import deadlines


class Patience:
    """Whether a service is there, and for how long calls wait for it once it has gone.

    Whoever follows its health reports here. Until its first report that it is there, no call waits. One that has been
    away for `seconds` is not waited for any more: then calls fail at once, as they should while nothing answers.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._gone_at: float | None = None
        self._is_there = asyncio.Event()

    def report(self, is_there: bool) -> None:
        """Record whether the service is there."""
        if is_there:
            self._gone_at = None
            self._is_there.set()
        elif self._is_there.is_set():
            self._gone_at = time.monotonic()
            self._is_there.clear()

    async def wait(self) -> None:
        """Return when the service is there, or is not waited for; within the deadline of the current call."""
        if self._gone_at is None:
            return
        left = deadlines.cap(self._gone_at + self._seconds - time.monotonic())
        if left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._is_there.wait()
