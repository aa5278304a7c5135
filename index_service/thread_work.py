"""Work on threads that nobody waits for, and work that follows other work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

import structlog

from index_service.errors import BuildStopped

T = TypeVar("T")

log = structlog.get_logger(__name__)


def start(threads: Executor, work: Callable[[], object]) -> None:
    """Run work whose result no caller awaits, and log its failure."""
    log_failure(threads.submit(work))


def submit_after(first: Future[Any], threads: Executor, work: Callable[[], T]) -> Future[T]:
    """Run work on a thread after `first` has ended, whether it succeeded, failed or was cancelled."""
    done: Future[T] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 — passed to the caller that waits for the work
            done.set_exception(error)

    def submit(_: Future[Any]) -> None:
        # If the threads shut down before its turn, callers must not wait for it forever.
        threads.submit(run).add_done_callback(lambda running: done.cancel() if running.cancelled() else None)

    first.add_done_callback(submit)
    return done


def log_failure(work: Future[Any]) -> None:
    """If work fails, log that once with its traceback; a close that stops it is no failure."""
    work.add_done_callback(_log_failure)


def _log_failure(work: Future[Any]) -> None:
    if work.cancelled() or (error := work.exception()) is None or isinstance(error, BuildStopped):
        return
    log.error("work in the background failed", exc_info=error)
