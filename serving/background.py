"""Background work: its failures never stop the service, and its health reports them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import structlog

from serving.metrics import WORK_IS_WELL

_RETRY_SECONDS = 5.0
_FAILED = "background work failed and will be retried"

log = structlog.get_logger(__name__)


class WorkHealth:
    """The health of some background work; thread-safe.

    The work may have several subjects, for example all indexes: it is healthy when it fails for none of them. A streak
    of failures ends with the next success. It is logged when it starts, when the type of error changes, and when it
    ends.
    """

    def __init__(self, name: str) -> None:
        """Start as healthy; `name` identifies the work in the log and in the health service."""
        self.name = name
        self._lock = threading.Lock()
        self._failing: dict[str, type[BaseException]] = {}
        self._listeners: list[Callable[[], object]] = []
        WORK_IS_WELL.labels(name).set(1)

    @property
    def is_well(self) -> bool:
        """Whether nothing fails."""
        return not self._failing

    def failed(self, error: BaseException, about: str = "", *, expected: bool = False, event: str = _FAILED) -> None:
        """Record a failure; an error that is not `expected` is logged with its traceback."""
        with self._lock:
            is_news = self._failing.get(about) is not type(error)
            self._failing[about] = type(error)
        if is_news:
            if expected:
                log.warning(event, work=self.name, about=about, error=str(error))
            else:
                log.error(event, work=self.name, about=about, exc_info=error)
            self._notify()

    def succeeded(self, about: str = "") -> None:
        """Record a success, or that nothing is left to do."""
        with self._lock:
            had_failed = self._failing.pop(about, None)
        if had_failed:
            log.info("background work recovered", work=self.name, about=about)
            self._notify()

    def reset(self) -> None:
        """Forget all failures, because the work begins anew."""
        with self._lock:
            self._failing.clear()
        self._notify()

    async def watch(self) -> AsyncIterator[bool]:
        """Yield whether the work is healthy, now and after each change."""
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

    def _notify(self) -> None:
        WORK_IS_WELL.labels(self.name).set(self.is_well)
        for listener in tuple(self._listeners):
            listener()


async def keep_running(
    health: WorkHealth, work: Callable[[], Awaitable[None]], retry_seconds: float = _RETRY_SECONDS
) -> None:
    """Run some work to completion, and restart it whenever it fails.

    Args:
        health: Records the failures; the work itself records intermediate successes.
        work: Starts the work. Only errors that it does not handle itself arrive here.
        retry_seconds: How long to wait before a restart.
    """
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 — whatever the error, the service continues without this work
            health.failed(error)
        else:
            health.succeeded()
            return
        await asyncio.sleep(retry_seconds)
