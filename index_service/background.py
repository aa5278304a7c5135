"""The threads that indexes share, and work there that no call waits for.

Thousands of indexes may be open, so none has a thread of its own. Merges have one thread in the whole service, so that
searches keep most of the machine. What reads whole files to check them has another, so that the merges of all indexes
do not wait for the check of a large one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from serving.background import WorkHealth

T = TypeVar("T")

log = structlog.get_logger(__name__)

# Commits wait for the disk, which syncs several files at once.
_COMMITS = 8


class Background:
    """The threads of a catalog."""

    def __init__(self) -> None:
        self.merges: Executor = ThreadPoolExecutor(1, thread_name_prefix="merge")
        self.commits: Executor = ThreadPoolExecutor(_COMMITS, thread_name_prefix="commit")
        self.checks: Executor = ThreadPoolExecutor(1, thread_name_prefix="check")
        self.merging = WorkHealth("merging")

    def close(self) -> None:
        """End the threads after the work at hand; what still waits is dropped."""
        # In this order: a commit and the end of a check may begin a merge.
        for threads in (self.commits, self.checks, self.merges):
            threads.shutdown(cancel_futures=True)


def start(threads: Executor, work: Callable[[], object]) -> None:
    """Run work for whose end nobody waits; if it fails, that is logged."""
    log_failure(threads.submit(work))


def submit_after(first: Future[Any], threads: Executor, work: Callable[[], T]) -> Future[T]:
    """Run work on a thread once `first` has ended, however it did."""
    done: Future[T] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 — it belongs to whoever waits for the work
            done.set_exception(error)

    def submit(_: Future[Any]) -> None:
        # Where the threads end before its turn comes, nobody shall wait for it.
        threads.submit(run).add_done_callback(lambda running: done.cancel() if running.cancelled() else None)

    first.add_done_callback(submit)
    return done


def log_failure(work: Future[Any]) -> None:
    """Log the failure of work, if it fails, once and with its traceback."""
    work.add_done_callback(_log_failure)


def _log_failure(work: Future[Any]) -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        log.error("work in the background failed", exc_info=error)
