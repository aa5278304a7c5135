"""Work that runs beside the calls: no failure of it ends the service, and its health tells of each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import structlog

__all__ = ["WorkHealth", "keep_running"]

_RETRY_SECONDS = 5.0
_FAILED = "work in the background failed, and is tried again"

log = structlog.get_logger(__name__)


class WorkHealth:
    """Whether some work in the background does what it should; safe for threads.

    The work may be about several things, for example all indexes: it is well when it fails at none of them. A streak of
    failures ends when the work has succeeded; it is logged when it begins, when it fails in another way, and when it
    ends.
    """

    def __init__(self, name: str) -> None:
        """Begins as well; `name` is what the work is called in the log and in the health service."""
        self.name = name
        self._lock = threading.Lock()
        self._failing: dict[str, type[BaseException]] = {}
        self._listeners: list[Callable[[], object]] = []

    @property
    def is_well(self) -> bool:
        """Whether the work fails at nothing."""
        return not self._failing

    def failed(self, error: BaseException, about: str = "", *, expected: bool = False, event: str = _FAILED) -> None:
        """Say that the work failed; what is not `expected` is logged with its traceback."""
        with self._lock:
            is_news = self._failing.get(about) is not type(error)
            self._failing[about] = type(error)
        if is_news:
            if expected:
                log.warning(event, work=self.name, about=about, error=str(error))
            else:
                log.error(event, work=self.name, about=about, exc_info=error)
            self._tell()

    def succeeded(self, about: str = "") -> None:
        """Say that the work succeeded, or that there is nothing to do any more."""
        with self._lock:
            had_failed = self._failing.pop(about, None)
        if had_failed:
            log.info("work in the background succeeded again", work=self.name, about=about)
            self._tell()

    async def watch(self) -> AsyncIterator[bool]:
        """Yield whether the work is well: now, and whenever that changes."""
        changed = asyncio.Event()
        listener = partial(asyncio.get_running_loop().call_soon_threadsafe, changed.set)
        self._listeners.append(listener)
        last: bool | None = None
        try:
            while True:
                changed.clear()
                if (now := self.is_well) != last:
                    last = now
                    yield now
                else:
                    await changed.wait()
        finally:
            self._listeners.remove(listener)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()


async def keep_running(
    health: WorkHealth, work: Callable[[], Awaitable[None]], retry_seconds: float = _RETRY_SECONDS
) -> None:
    """Do some work to its end, from the beginning again whenever it fails.

    Args:
        health: What is told of failures; the work itself says when it has succeeded.
        work: Starts it. What it handles itself does not come here.
        retry_seconds: How long to wait before it begins again.
    """
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 — whatever it is, the service goes on without this work
            health.failed(error)
        else:
            health.succeeded()
            return
        await asyncio.sleep(retry_seconds)
