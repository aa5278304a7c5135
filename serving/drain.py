"""The end of the calls of a process that shuts down: none is dropped without a status that says what to do.

`serving.server` takes these steps, in this order. Before it, health has become NOT_SERVING.

1. `begin`: streams of uploads end at their next safe point: what has arrived is answered, and nothing more is read
   (`until_shutdown`). Calls still come and are answered, so that clients have time to see the health and go elsewhere.
2. `refuse`: new calls are refused with UNAVAILABLE, reason SHUTTING_DOWN and RetryInfo. Watches, whose names begin with
   "Watch", end with the same status: they would never finish.
3. `finish`: calls in progress have the time that is left. Those that outlast it are cancelled, and get the same status.

gRPC's own shutdown has no such status: it cancels calls, and nobody repeats a call that was CANCELLED.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import structlog

from serving.errors import ShuttingDown
from serving.gates import Call
from serving.running import Running, running

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Drain:
    """Knows the calls in progress; a gate before those that may refuse or wait, so that it sees them all."""

    def __init__(self) -> None:
        self._running: dict[Running, Call] = {}
        self._changed = asyncio.Event()
        self._begun = asyncio.Event()
        self._refuses = False

    @property
    def refuses(self) -> bool:
        """Whether no call is taken any more."""
        return self._refuses

    @asynccontextmanager
    async def enter(self, call: Call) -> AsyncIterator[None]:
        """Count a call.

        Raises:
            ShuttingDown: No call is taken any more, or this one outlasted the drain.
        """
        if self._refuses:
            raise ShuttingDown(begun=False)
        _begun.set(self._begun)
        with running() as work:
            self._running[work] = call
            try:
                yield
            finally:
                del self._running[work]
                self._changed.set()

    def check(self, call: Call, request: Any) -> None:
        """Let every message pass."""

    def begin(self) -> None:
        """Tell long streams."""
        self._begun.set()

    def refuse(self) -> None:
        """Refuse new calls, and end watches."""
        self._refuses = True
        for work, call in self._running.items():
            if call.method.startswith("Watch"):
                work.end(ShuttingDown(begun=True))

    async def finish(self, seconds: float, grace_seconds: float) -> None:
        """Wait for the calls in progress, for `seconds`; end those that are left, which may take `grace_seconds`."""
        if await self._wait_for_none(seconds):
            return
        left = {work: call for work, call in self._running.items() if work.error is None}
        methods = sorted({f"{call.service}/{call.method}" for call in left.values()})
        log.warning("calls outlasted the drain and are ended", calls=len(left), methods=methods)
        for work in left:
            work.end(ShuttingDown(begun=True))
        await self._wait_for_none(grace_seconds)

    async def _wait_for_none(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                while self._running:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True


_begun: ContextVar[asyncio.Event] = ContextVar("drain begun")


async def until_shutdown(requests: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yield the requests of the current call's stream.

    Raises:
        ShuttingDown: The process shuts down; the requests that were yielded can still be answered.
    """
    begun = _begun.get(None)
    if begun is None:  # outside of a server
        async for request in requests:
            yield request
        return
    shutting_down = asyncio.ensure_future(begun.wait())
    try:
        while True:
            coming = asyncio.ensure_future(anext(requests, None))
            try:
                await asyncio.wait({coming, shutting_down}, return_when=asyncio.FIRST_COMPLETED)
                if shutting_down.done():
                    raise ShuttingDown(begun=True)
            finally:
                coming.cancel()
            if (next_ := coming.result()) is None:
                return
            yield next_
    finally:
        shutting_down.cancel()
