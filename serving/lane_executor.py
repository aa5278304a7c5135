"""Threads that do interactive work first.

An executor takes work in its order. If an upload has handed over fifty images, the one that somebody searches with
would wait for all of them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from typing_extensions import override

from serving import lanes
from serving.lanes import Lane, Turns

P = ParamSpec("P")
T = TypeVar("T")


class LaneExecutor(Executor):
    """Runs work on threads: that of interactive calls first, but every fourth time that of a bulk call.

    The lane is that of the call that submits the work. Work that is cancelled before it begins is not begun, and is
    forgotten at once: it may hold an image, and the threads may be busy for long.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._waiting: dict[Lane, OrderedDict[Future[Any], Callable[[], Any]]] = {lane: OrderedDict() for lane in Lane}
        self._turns = Turns()
        self._lock = threading.Lock()

    @override
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand over work, and return its future."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting[lanes.current()][future] = lambda: fn(*args, **kwargs)
        future.add_done_callback(self._forget)
        self._threads.submit(self._run_next)
        return future

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work, and finish what was handed over, or cancel it."""
        if cancel_futures:
            with self._lock:
                futures = [future for waiting in self._waiting.values() for future in waiting]
            for future in futures:
                future.cancel()
        self._threads.shutdown(wait)

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            for waiting in self._waiting.values():
                waiting.pop(future, None)

    def _run_next(self) -> None:
        """Run the work whose turn it is, if any: each submission calls this once, and some work was cancelled."""
        with self._lock:
            if not any(self._waiting.values()):
                return
            future, work = self._next()
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 — the future raises it
            future.set_exception(error)
        else:
            future.set_result(result)

    def _next(self) -> tuple[Future[Any], Callable[[], Any]]:
        interactive, bulk = self._waiting[Lane.INTERACTIVE], self._waiting[Lane.BULK]
        lane = Lane.BULK if bulk and (not interactive or self._turns.is_bulk) else Lane.INTERACTIVE
        self._turns.record(lane)
        return self._waiting[lane].popitem(last=False)
