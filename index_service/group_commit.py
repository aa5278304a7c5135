"""Group commit: one thread at a time commits, at each turn, all writes that arrived during the turn before.

A disk sync costs the same for one item as for thousands, so writers share it; no write waits for a timer. All indexes
share the threads, and an index yields to the others after each turn.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence, Sized
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

from index_service.errors import IndexServiceError, TooManyWrites

W = TypeVar("W", bound=Sized)
R = TypeVar("R")

MAX_WAITING = 100_000
# The most items in one transaction, so that the first of them does not wait long.
_GROUP_ITEMS = 10_000


class GroupCommit(Generic[W, R]):
    """Commits writes of type W on `threads` by calling `commit`, which returns the result or the error of each."""

    def __init__(self, commit: Callable[[Sequence[W]], Sequence[R | Exception]], threads: Executor) -> None:
        self._commit = commit
        self._threads = threads
        self._waiting: deque[tuple[W, Future[R]]] = deque()
        self._waiting_items = 0
        self._changed = threading.Condition()
        self._closing: IndexServiceError | None = None
        self._working = False

    def submit(self, write: W) -> Future[R]:
        """Queue a write; the future is done once it is committed and searchable.

        Raises:
            TooManyWrites: the queue is full.
            IndexServiceError: `close` was called; this is its `reason`.
        """
        future: Future[R] = Future()
        with self._changed:
            if self._closing is not None:
                raise self._closing
            if self._waiting_items + len(write) > MAX_WAITING:
                raise TooManyWrites(self._waiting_items)
            self._waiting.append((write, future))
            self._waiting_items += len(write)
            if not self._working:
                self._working = True
                self._threads.submit(self._take_turn)
        return future

    def close(self, reason: IndexServiceError) -> None:
        """Commit the queued writes; refuse later writes with `reason`."""
        with self._changed:
            self._closing = reason
            self._changed.wait_for(lambda: not self._working)

    def _take_turn(self) -> None:
        try:
            if group := self._next_group():
                self._commit_group(group)
        finally:
            with self._changed:
                if self._waiting:
                    self._threads.submit(self._take_turn)
                else:
                    self._working = False
                    self._changed.notify_all()

    def _commit_group(self, group: Sequence[tuple[W, Future[R]]]) -> None:
        try:
            results = self._commit([write for write, _ in group])
        except Exception as error:  # noqa: BLE001 — passed to the waiting writers
            results = [error] * len(group)
        for (_, future), result in zip(group, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _next_group(self) -> list[tuple[W, Future[R]]]:
        """Take waiting writes; skip those that were cancelled."""
        with self._changed:
            group: list[tuple[W, Future[R]]] = []
            items = 0
            while self._waiting and (not group or items + len(self._waiting[0][0]) <= _GROUP_ITEMS):
                write, future = self._waiting.popleft()
                self._waiting_items -= len(write)
                # False if the caller cancelled; from here on it no longer can.
                if future.set_running_or_notify_cancel():
                    group.append((write, future))
                    items += len(write)
            return group
