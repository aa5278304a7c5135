"""SQLite connections that stay open between uses: those of all stores that were used last, up to a number.

A connection holds up to three files open: the database, its log and the index of that. With thousands of indexes a
process may not have that many. So an index that nobody uses holds none; its store is opened again in a millisecond.
"""

from __future__ import annotations

import resource
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Hashable

_FILES_OF_ONE = 3
# Of the files that the process may open; the rest is for segments, calls and what is being read just now.
_SHARE = 4
_MOST = 1_000


def raise_limit() -> None:
    """Let this process open as many files as the system allows; the usual limit of 1,024 is one for `select`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # macOS takes no limit above another one of its own, and says "unlimited"
        return


class IdleConnections:
    """Keeps connections that are not in use; safe for threads."""

    def __init__(self, most: int | None = None) -> None:
        """Keep at most `most` connections; by default a share of the files that the process may open."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        by_limit = _MOST if limit == resource.RLIM_INFINITY else limit // (_SHARE * _FILES_OF_ONE)
        self._most = min(_MOST, by_limit) if most is None else most
        self._lock = threading.Lock()
        # The key that was used last comes last.
        self._idle: OrderedDict[Hashable, list[sqlite3.Connection]] = OrderedDict()
        self._count = 0

    def take(self, key: Hashable) -> sqlite3.Connection | None:
        """Return a connection that was kept under a key, if there is one."""
        with self._lock:
            return self._pop(key) if key in self._idle else None

    def keep(self, key: Hashable, connection: sqlite3.Connection) -> None:
        """Keep a connection without an open transaction; close those that were idle longest."""
        surplus = []
        with self._lock:
            self._idle.setdefault(key, []).append(connection)
            self._idle.move_to_end(key)
            self._count += 1
            while self._count > self._most:
                surplus.append(self._pop(next(iter(self._idle))))
        for each in surplus:  # not under the lock: the last of a store folds its log into the database
            each.close()

    def close(self, key: Hashable) -> None:
        """Close all connections that were kept under a key."""
        while (connection := self.take(key)) is not None:
            connection.close()

    def _pop(self, key: Hashable) -> sqlite3.Connection:
        connections = self._idle[key]
        connection = connections.pop()
        self._count -= 1
        if not connections:
            del self._idle[key]
        return connection
