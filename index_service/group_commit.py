"""Group commit: one thread commits, at each turn, everything that arrived while it was busy.

A sync of the disk costs the same for one item as for thousands, so writers share it; nobody waits for a timer.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence, Sized
from concurrent.futures import Future
from typing import Generic, TypeVar

from index_service.errors import IndexServiceError, TooManyWrites

W = TypeVar("W", bound=Sized)
R = TypeVar("R")

MAX_WAITING = 100_000
# Items in one transaction at most, so that the first of them does not wait for long.
_GROUP_ITEMS = 10_000


class GroupCommit(Generic[W, R]):
    """Commits writes of type W through `commit`, which returns the result, or the error, of each."""

    def __init__(self, commit: Callable[[Sequence[W]], Sequence[R | Exception]], name: str) -> None:
        self._commit = commit
        self._waiting: deque[tuple[W, Future[R]]] = deque()
        self._waiting_items = 0
        self._changed = threading.Condition()
        self._closing: IndexServiceError | None = None
        self._thread = threading.Thread(target=self._run, name=f"commit-{name}", daemon=True)
        self._thread.start()

    def submit(self, write: W) -> Future[R]:
        """Queues a write; the future is done once it is committed and searchable.

        Raises:
            TooManyWrites: the queue is full.
            IndexServiceError: the one given to `close`.
        """
        future: Future[R] = Future()
        with self._changed:
            if self._closing is not None:
                raise self._closing
            if self._waiting_items + len(write) > MAX_WAITING:
                raise TooManyWrites(self._waiting_items)
            self._waiting.append((write, future))
            self._waiting_items += len(write)
            self._changed.notify()
        return future

    def close(self, reason: IndexServiceError) -> None:
        """Commits what waits and ends the thread; later writes are refused with `reason`."""
        with self._changed:
            self._closing = reason
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            if not group:
                continue
            try:
                results = self._commit([write for write, _ in group])
            except Exception as error:  # noqa: BLE001 — it belongs to the writers, who wait for it
                results = [error] * len(group)
            for (_, future), result in zip(group, results, strict=True):
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _next_group(self) -> list[tuple[W, Future[R]]] | None:
        """Waits for writes and takes them; None once closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing is not None)
            if not self._waiting:
                return None
            group: list[tuple[W, Future[R]]] = []
            items = 0
            while self._waiting and (not group or items + len(self._waiting[0][0]) <= _GROUP_ITEMS):
                write, future = self._waiting.popleft()
                self._waiting_items -= len(write)
                # False for a caller that has gone; from here on it is too late to go.
                if future.set_running_or_notify_cancel():
                    group.append((write, future))
                    items += len(write)
            return group
