"""A pool of idle SQLite connections: the most recently used ones of all stores, up to a limit.

A connection holds up to three files open: the database, its log and the log's index. With thousands of indexes, that is
more than a process may open. So an unused index holds none, and its store is reopened within a millisecond.
"""

from __future__ import annotations

import resource
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Hashable

_FILES_PER_CONNECTION = 3
# Idle connections use 1/4 of the files that the process may open; the rest is for segments, calls and running reads.
_SHARE = 4
_MAX_CONNECTIONS = 1_000


def raise_limit() -> None:
    """Let this process open as many files as the system allows; the usual limit of 1,024 exists for `select`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # macOS reports "unlimited" but refuses a limit above another of its own
        return


class IdleConnections:
    """Keeps unused connections; thread-safe."""

    def __init__(self, most: int | None = None) -> None:
        """Keep at most `most` connections; by default a share of the files that the process may open."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        by_limit = _MAX_CONNECTIONS if limit == resource.RLIM_INFINITY else limit // (_SHARE * _FILES_PER_CONNECTION)
        self._most = min(_MAX_CONNECTIONS, by_limit) if most is None else most
        self._lock = threading.Lock()
        # Ordered by last use, the most recent last.
        self._idle: OrderedDict[Hashable, list[sqlite3.Connection]] = OrderedDict()
        self._count = 0

    def take(self, key: Hashable) -> sqlite3.Connection | None:
        """Remove and return a connection that is kept under a key, or None."""
        with self._lock:
            return self._pop(key) if key in self._idle else None

    def keep(self, key: Hashable, connection: sqlite3.Connection) -> None:
        """Keep a connection without an open transaction; close the longest idle ones above the limit."""
        surplus = []
        with self._lock:
            self._idle.setdefault(key, []).append(connection)
            self._idle.move_to_end(key)
            self._count += 1
            while self._count > self._most:
                surplus.append(self._pop(next(iter(self._idle))))
        for each in surplus:  # not under the lock: closing a store's last one folds its log into the database
            each.close()

    def close(self, key: Hashable) -> None:
        """Close all connections that are kept under a key."""
        while (connection := self.take(key)) is not None:
            connection.close()

    def _pop(self, key: Hashable) -> sqlite3.Connection:
        connections = self._idle[key]
        connection = connections.pop()
        self._count -= 1
        if not connections:
            del self._idle[key]
        return connection
