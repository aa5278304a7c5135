"""The log of changed rows in a store, from which a writer finds what has changed since it last published.

Triggers of the database write it, in the transaction of the change itself: whatever writes the store, nothing is
missing. It holds only row numbers, each once. Added rows need no log, because their numbers ascend.

The log also has the store's lineage and what of it was published. A copy of the store that is written on its own must
not continue the same lineage: replicas would take its versions for those that they have. `Mark` shows the difference.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from index_service.errors import IndexNotFound

_MARK = "published"
_BUSY_SECONDS = 30.0
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS changed_rows (row INTEGER PRIMARY KEY, version INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS changed_rows_by_version ON changed_rows (version)",
    # A commit increments the version at its end.
    "CREATE TRIGGER IF NOT EXISTS log_removed_row AFTER DELETE ON items BEGIN INSERT OR REPLACE INTO changed_rows"
    " VALUES (old.row, (SELECT value + 1 FROM meta WHERE key = 'version')); END",
    "CREATE TRIGGER IF NOT EXISTS log_changed_row AFTER UPDATE ON items BEGIN INSERT OR REPLACE INTO changed_rows"
    " VALUES (new.row, (SELECT value + 1 FROM meta WHERE key = 'version')); END",
)


class Mark(BaseModel):
    """The lineage of a store, and the versions that may be published of it: one is, or is about to be."""

    model_config = ConfigDict(frozen=True)

    lineage: str
    versions: tuple[int, ...]


class ChangeLog:
    """The log of one store. Its writes are short, because commits wait for them.

    Every method raises `IndexNotFound` if the store is gone; another index may have its path by now.
    """

    def __init__(self, store: Path, uid: str) -> None:
        self._store = store
        self._uid = uid

    def mark(self) -> Mark | None:
        """Return the mark; None if the store has no log yet."""
        with self._connection() as connection:
            found = connection.execute("SELECT value FROM meta WHERE key = ?", (_MARK,)).fetchone()
        return Mark.model_validate_json(found[0]) if found else None

    def begin(self, mark: Mark) -> None:
        """Set the mark, and log from now on."""
        with self._transaction() as connection:
            for statement in _SCHEMA:
                connection.execute(statement)
            _set_mark(connection, mark)

    def set_mark(self, mark: Mark) -> None:
        """Replace the mark."""
        with self._transaction() as connection:
            _set_mark(connection, mark)

    def forget_until(self, version: int) -> None:
        """Remove what was logged for a version and those before it."""
        removed = 1
        while removed:
            with self._transaction() as connection:
                removed = connection.execute(
                    "DELETE FROM changed_rows WHERE row IN"
                    " (SELECT row FROM changed_rows WHERE version <= ? LIMIT 10000)",
                    (version,),
                ).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with connected(self._store, self._uid) as connection:
            # Not synced: a log that forgets too little costs some bytes, and a lost mark a new lineage.
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection


@contextmanager
def connected(store: Path, uid: str) -> Iterator[sqlite3.Connection]:
    """Yield a connection of its own to the store with a uid.

    Raises:
        IndexNotFound: the store is gone.
    """
    name = store.parent.name
    try:
        connection = sqlite3.connect(
            f"{store.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=_BUSY_SECONDS
        )
    except sqlite3.OperationalError as error:
        if store.exists():
            raise
        raise IndexNotFound(name) from error
    try:
        found = connection.execute("SELECT value FROM meta WHERE key = 'uid'").fetchone()
        if found != (uid,):
            raise IndexNotFound(name)
        yield connection
    finally:
        connection.close()


def remove_log(connection: sqlite3.Connection) -> None:
    """Remove the log from a copy of the store, within the open transaction."""
    connection.execute("DROP TRIGGER IF EXISTS log_removed_row")
    connection.execute("DROP TRIGGER IF EXISTS log_changed_row")
    connection.execute("DROP TABLE IF EXISTS changed_rows")
    connection.execute("DELETE FROM meta WHERE key = ?", (_MARK,))


def _set_mark(connection: sqlite3.Connection, mark: Mark) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_MARK, mark.model_dump_json()))
