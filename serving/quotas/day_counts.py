"""What each caller used today, in a file that the processes of a machine share and that survives a restart.

A day begins at midnight UTC. Counts are kept in memory and added to the file by `synchronize`, which also reads what
other processes added. So each process may be behind the others by the time between two of these, and a process that
is killed forgets that much.

At most `MOST_COUNTS` counts are remembered; beyond, the smallest are forgotten.
"""

from __future__ import annotations

import heapq
import sqlite3
from contextlib import closing
from pathlib import Path

from serving.quotas.meter import MOST_CALLERS
from serving.quotas.quota import Kind

MOST_COUNTS = MOST_CALLERS
DAY_SECONDS = 86_400

Key = tuple[str, Kind]
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS used (day INT, caller TEXT, kind TEXT, units INT, PRIMARY KEY (caller, kind, day))"
)


class DayCounts:
    """The counts of one day at a time; for one event loop, apart from `exchange`."""

    def __init__(self, most_counts: int = MOST_COUNTS) -> None:
        self._most_counts = most_counts
        self._day = 0
        self._used: dict[Key, int] = {}
        self._added: dict[Key, int] = {}  # of these, what the file does not have yet

    def __len__(self) -> int:
        return len(self._used)

    def used(self, caller: str, kind: Kind, now: float) -> int:
        """Return what a caller used today; `now` is in seconds since 1970."""
        self._begin_day(now)
        return self._used.get((caller, kind), 0)

    def add(self, caller: str, kind: Kind, units: int, now: float) -> None:
        """Add what a caller uses."""
        self._begin_day(now)
        key = (caller, kind)
        if key not in self._used:
            self._make_room()
        self._used[key] = self._used.get(key, 0) + units
        self._added[key] = self._added.get(key, 0) + units

    def take_back(self, caller: str, kind: Kind, units: int, day: int) -> None:
        """Take back what was added on a day; nothing if that day is over, or the count forgotten."""
        key = (caller, kind)
        if day == self._day and key in self._used:
            self._used[key] -= units
            self._added[key] = self._added.get(key, 0) - units

    def take_added(self, now: float) -> tuple[int, dict[Key, int]]:
        """Return the day, and what was added since the last time, for `exchange`."""
        self._begin_day(now)
        added, self._added = self._added, {}
        return self._day, added

    def put_back(self, day: int, added: dict[Key, int]) -> None:
        """Keep what could not be stored for the next time."""
        if day == self._day:
            for key, units in added.items():
                self._added[key] = self._added.get(key, 0) + units

    def replace(self, day: int, stored: dict[Key, int]) -> None:
        """Take over what `exchange` returned for a day."""
        if day == self._day:
            self._used = stored
            for key, units in self._added.items():
                self._used[key] = self._used.get(key, 0) + units

    def _begin_day(self, now: float) -> None:
        day = int(now // DAY_SECONDS)
        if day != self._day:
            self._day, self._used, self._added = day, {}, {}

    def _make_room(self) -> None:
        if len(self._used) < self._most_counts:
            return
        # Several at once, so that the search is paid for by many callers.
        for key in heapq.nsmallest(max(1, self._most_counts // 10), self._used, key=lambda key: self._used[key]):
            del self._used[key]
            self._added.pop(key, None)


def exchange(path: Path, day: int, added: dict[Key, int]) -> dict[Key, int]:
    """Add a day's counts to a file, forget earlier days, and return the file's counts of that day; this blocks.

    Raises:
        sqlite3.Error: The file cannot be used; nothing was added.
        OSError: The folder cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        try:
            database.execute(_SCHEMA)
            database.execute("DELETE FROM used WHERE day < ?", (day,))
            database.executemany(
                "INSERT INTO used VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET units = units + excluded.units",
                [(day, caller, kind.value, units) for (caller, kind), units in added.items()],
            )
            rows = database.execute(
                "SELECT caller, kind, units FROM used WHERE day = ? ORDER BY units DESC LIMIT ?", (day, MOST_COUNTS)
            ).fetchall()
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
    return {(caller, Kind(kind)): units for caller, kind, units in rows}
