"""The SQLite file of leases and records: `.coordination.sqlite` in the index's data folder.

WAL with synchronous=FULL: what a method wrote survives a power loss once the method returns. One process at a time has
the data folder open (`local.catalog`), so this one is the only writer.

If the file is damaged, it is kept beside under another name, and an empty one is begun, because without it no gateway
could make changes. Nothing in it is an image: a switch of models and the computation of maps must be requested again,
and page tokens from before are refused.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import structlog

from index_service.coordination.errors import TooManyNames
from index_service.errors import StoreDamaged, StoreTooNew
from index_service.storage import storage_errors
from serving.durable_files import sync

FORMAT_VERSION = 1
FILE = ".coordination.sqlite"  # no index's name begins with a dot
MAX_NAMES = 1_000

_SCHEMA = (
    "CREATE TABLE leases (name TEXT PRIMARY KEY, number INTEGER NOT NULL, holder TEXT NOT NULL, address TEXT NOT NULL,"
    " ttl_seconds REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE records (name TEXT PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID",
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StoredLease:
    """A lease on disk; without a holder if it was released."""

    name: str
    number: int = 0
    holder: str = ""
    address: str = ""
    ttl_seconds: float = 0.0


@dataclass(frozen=True)
class StoredRecord:
    """A record; version 0 if it was never written."""

    name: str
    value: bytes = b""
    version: int = 0


class Database:
    """The open file; thread-safe, each method for itself."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin one.

        Raises:
            StoreTooNew: a newer version wrote it.
            StorageFull: it cannot be written.
        """
        self._path = path
        self._lock = threading.Lock()
        self._connection = _open(path)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def leases(self) -> list[StoredLease]:
        """Return all leases."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT name, number, holder, address, ttl_seconds FROM leases")
            return [StoredLease(*row) for row in rows]

    def put_lease(self, lease: StoredLease) -> None:
        """Write a lease; raises `TooManyNames` or `StorageFull`."""
        with self._transaction() as connection:
            connection.execute("REPLACE INTO leases VALUES (?, ?, ?, ?, ?)", astuple(lease))
            (count,) = connection.execute("SELECT count(*) FROM leases").fetchone()
            _check_count("leases", count)

    def record(self, name: str) -> StoredRecord:
        """Return a record."""
        with self._transaction() as connection:
            row = connection.execute("SELECT name, value, version FROM records WHERE name = ?", (name,)).fetchone()
            return StoredRecord(*row) if row else StoredRecord(name)

    def put_record(self, record: StoredRecord) -> None:
        """Write a record; raises `TooManyNames` or `StorageFull`."""
        with self._transaction() as connection:
            connection.execute("REPLACE INTO records VALUES (?, ?, ?)", astuple(record))
            (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
            _check_count("records", count)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, storage_errors(self._path), self._connection:
            self._connection.execute("BEGIN")
            yield self._connection


@contextmanager
def open_database(folder: Path) -> Iterator[Database]:
    """Open the file in a data folder, and close it at the end; raises as `Database` does."""
    path = folder / FILE
    try:
        database = Database(path)
    except StoreTooNew:
        raise
    except StoreDamaged as error:
        log.warning("leases and records are lost", problem=str(error), kept_as=f"{FILE}.damaged")
        _set_aside(path)
        database = Database(path)
    with closing(database):
        yield database


def _open(path: Path) -> sqlite3.Connection:
    with storage_errors(path):
        # None: transactions begin where the code says so.
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            _bring_up_to_date(path, connection)
        except BaseException:
            connection.close()
            raise
    sync(path.parent)
    return connection


def _bring_up_to_date(path: Path, connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > FORMAT_VERSION:
        raise StoreTooNew(path, version, FORMAT_VERSION)
    if version == 0:
        with connection:
            connection.execute("BEGIN")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    problems = [problem for (problem,) in connection.execute("PRAGMA quick_check")]
    if problems != ["ok"]:
        raise StoreDamaged(path, problems[0])


def _set_aside(path: Path) -> None:
    """Rename a damaged file, and remove its log, which would be applied to the new one."""
    with storage_errors(path):
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.replace(path.with_name(f"{path.name}.damaged"))


def _check_count(kind: str, count: int) -> None:
    if count > MAX_NAMES:
        raise TooManyNames(kind, MAX_NAMES)
