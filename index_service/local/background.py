"""The threads that all indexes share, and background work on them.

Thousands of indexes may be open, so none has its own thread. The whole service has one thread for merges, so that
searches keep most of the machine, and another for checks that read whole files, so that no merge waits for the check of
a large index.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from index_service.errors import BuildStopped
from index_service.local.commit_gate import CommitGate
from serving.background import WorkHealth

T = TypeVar("T")

log = structlog.get_logger(__name__)

# Commits wait for the disk, which can sync several files at once.
_COMMITS = 8


class Background:
    """The threads of a catalog, and the gate that all commits pass."""

    def __init__(self) -> None:
        self.merges: Executor = ThreadPoolExecutor(1, thread_name_prefix="merge")
        self.commits: Executor = ThreadPoolExecutor(_COMMITS, thread_name_prefix="commit")
        self.checks: Executor = ThreadPoolExecutor(1, thread_name_prefix="check")
        self.commit_gate = CommitGate()
        self.merging = WorkHealth("merging")

    def close(self) -> None:
        """Let the threads finish their current work and end; drop queued work."""
        # In this order, because a commit or the end of a check may start a merge.
        for threads in (self.commits, self.checks, self.merges):
            threads.shutdown(cancel_futures=True)


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
