"""Ends what SQLite does for a caller who has left: no thread compares items with a filter for nobody."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

# SQLite's instructions between two looks, each of which waits for Python's lock. A comparison of 100,000 items with a
# value takes 500,000; most filters take 1 to 10 ms for 100,000.
_INSTRUCTIONS = 100_000

_left: ContextVar[threading.Event | None] = ContextVar("left", default=None)


def run_until(left: threading.Event, work: Callable[[], T]) -> T:
    """Run work; what it has SQLite read, as `stopped_when_left` says, fails once `left` is set."""
    token = _left.set(left)
    try:
        return work()
    finally:
        _left.reset(token)


@contextmanager
def stopped_when_left(connection: sqlite3.Connection) -> Iterator[None]:
    """Stop the statements of a connection when the caller leaves, whichever thread runs them.

    Raises:
        sqlite3.OperationalError: the caller has left (SQLITE_INTERRUPT).
    """
    left = _left.get()
    if left is None:
        yield
        return
    connection.set_progress_handler(left.is_set, _INSTRUCTIONS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
