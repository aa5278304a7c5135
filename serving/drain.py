"""The end of the calls of a process that shuts down: none is dropped without a status that says what to do.

`serving.server` takes these steps, in this order. Before it, health has become NOT_SERVING.

1. `begin`: long streams are told, and end at their next safe point (`shutting_down`). Calls still come and are
   answered, so that clients have time to see the health and go elsewhere.
2. `refuse`: new calls are refused with UNAVAILABLE, reason SHUTTING_DOWN and RetryInfo.
3. `finish`: calls in progress have the time that is left. Those that outlast it are cancelled, and get the same status.

gRPC's own shutdown has no such status: it cancels calls, and nobody repeats a call that was CANCELLED.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import structlog

from serving.errors import ShuttingDown
from serving.gates import Call

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Running:
    call: Call
    task: asyncio.Task[Any]
    is_ended: bool = False


class Drain:
    """Knows the calls in progress; the first of the gates, so that it sees every call and the end of each."""

    def __init__(self) -> None:
        self._running: set[_Running] = set()
        self._changed = asyncio.Event()
        self._begun = asyncio.Event()
        self._refuses = False

    @asynccontextmanager
    async def enter(self, call: Call) -> AsyncIterator[None]:
        """Count a call.

        Raises:
            ShuttingDown: No call is taken any more, or this one outlasted the drain.
        """
        if self._refuses:
            raise ShuttingDown(begun=False)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        running = _Running(call, task)
        self._running.add(running)
        _begun.set(self._begun)
        try:
            yield
        except asyncio.CancelledError:
            if not running.is_ended:
                raise
            task.uncancel()
            raise ShuttingDown(begun=True) from None
        finally:
            self._running.discard(running)
            self._changed.set()

    def check(self, call: Call, request: Any) -> None:
        """Let every message pass."""

    def begin(self) -> None:
        """Tell long streams."""
        self._begun.set()

    def refuse(self) -> None:
        """Refuse new calls."""
        self._refuses = True

    async def finish(self, seconds: float, grace_seconds: float) -> None:
        """Wait for the calls in progress, for `seconds`; end those that are left, which may take `grace_seconds`."""
        if await self._wait_for_none(seconds):
            return
        left = [each for each in self._running if not each.is_ended]
        methods = sorted({f"{each.call.service}/{each.call.method}" for each in left})
        log.warning("calls outlasted the drain and are ended", calls=len(left), methods=methods)
        for each in left:
            each.is_ended = True
            each.task.cancel()
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


async def shutting_down() -> None:
    """Return when the process that answers the current call shuts down."""
    event = _begun.get(None)
    if event is None:
        await asyncio.get_running_loop().create_future()  # no server: never
    else:
        await event.wait()
