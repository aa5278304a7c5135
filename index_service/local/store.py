"""The store of one index: a SQLite database, the source of truth for its items.

Invariants:
- A row number is assigned once and never reused. An item with a new vector gets a new row; an item with only new
  attributes keeps its row. `sequence` is the row number that an id got when it was first added, so it orders items by
  first addition.
- Vectors are float32 of length 1; attributes are canonical JSON text (`attributes`).
- WAL with synchronous=FULL: once a commit returns, it survives a power loss. Each commit increments `version`.
- One connection at a time writes (`writes`); others read, each in a transaction (`reads`), so no reader waits for a
  writer. A limited number of idle connections stay open (`connections`).

An index's folder appears under its name atomically (`create`): the rename is the commit point.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from index_service.abandoned import stopped_when_left
from index_service.definition import IndexDefinition
from index_service.errors import IndexNotFound, InvalidAttributePath, SqliteTooOld, StoreDamaged, StoreTooNew
from index_service.filters import index_statements
from index_service.local.connections import IdleConnections
from index_service.local.reads import StoreReader
from index_service.local.write_ahead_log import promised_frames
from index_service.storage import storage_error, storage_errors
from serving.durable_files import discard, publish, sync, temporary_beside

FORMAT_VERSION = 1
STORE_FILE = "store.sqlite"
# The first version with `attributes -> path` (February 2022).
OLDEST_SQLITE = (3, 38, 0)

_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    "CREATE TABLE items (row INTEGER PRIMARY KEY AUTOINCREMENT, sequence INTEGER NOT NULL UNIQUE,"
    " id TEXT NOT NULL UNIQUE, attributes TEXT NOT NULL)",
    # A separate table, so that a filter that reads all attributes does not read the vectors too.
    "CREATE TABLE vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL)",
)
# Vectors of 300 numbers fill 88 % of a 4 KB page and 96 % of a 16 KB page.
_PAGE_BYTES = 16_384
# Without a limit, the log never shrinks; a long read during heavy writing makes it as large as what was written.
_JOURNAL_BYTES = 16 * 2**20
# Checking the structure of this much takes 0.3 s if the file is cached in memory, and seconds if it is not.
_SMALL_BYTES = 256 * 2**20


def check_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Check that Python's SQLite has the features that the stores need.

    Raises:
        SqliteTooOld: it does not.
    """
    if version < OLDEST_SQLITE:
        raise SqliteTooOld(version, OLDEST_SQLITE)


class Store:
    """An open store."""

    def __init__(
        self, path: Path, definition: IndexDefinition, uid: str, problems: tuple[str, ...], idle: IdleConnections
    ) -> None:
        self.path = path
        self.definition = definition
        self.uid = uid
        self.problems = problems
        self._idle = idle
        # Not the path or the uid: another index may share the path of a deleted one, or the uid of a copied one.
        self._reading, self._writing = object(), object()
        self._closed = False

    @classmethod
    def open(cls, folder: Path, idle: IdleConnections) -> Store:
        """Open the store in an index's folder; `idle` keeps its connections.

        Raises:
            StoreDamaged, StoreTooNew: it is missing, or this version of the program cannot read it.
            StorageFull: it cannot be written.
            TooManyOpenFiles: the process has no free file handle.
        """
        path = folder / STORE_FILE
        if not path.is_file():
            raise StoreDamaged(path, "there is no such file")
        promised = promised_frames(path)
        try:
            writer = _connect_writer(path)
            try:
                problems = _fold_log(writer, promised)
                definition, uid = _check(writer, path)
            except BaseException:
                writer.close()
                raise
        except (KeyError, ValueError, TypeError, InvalidAttributePath, sqlite3.Error) as error:
            raise storage_error(error, path) or StoreDamaged(path, str(error)) from error
        store = cls(path, definition, uid, problems, idle)
        idle.keep(store._writing, writer)
        return store

    @property
    def is_small(self) -> bool:
        """Whether `open` checked the structure; the caller must have a larger store checked after opening it."""
        return _is_small(self.path)

    @contextmanager
    def read(self) -> Iterator[StoreReader]:
        """Open a read transaction: all data read through it is of one version. It ends early if the caller leaves.

        Raises:
            IndexNotFound: the store is closed.
            StoreDamaged: SQLite cannot read the file.
            TooManyOpenFiles: the process has no free file handle.
        """
        if self._closed:
            raise IndexNotFound(self.definition.name)
        with storage_errors(self.path):
            connection = self._idle.take(self._reading) or _connect_reader(self.path)
            try:
                connection.execute("BEGIN")
                with stopped_when_left(connection):
                    yield StoreReader(connection, self.path, self.definition.dimension)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._keep(self._reading, connection)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield the write connection for one transaction; not thread-safe.

        Raises:
            StorageFull, StoreDamaged, TooManyOpenFiles: it cannot be written.
        """
        with storage_errors(self.path):
            connection = self._idle.take(self._writing) or _connect_writer(self.path)
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._keep(self._writing, connection)

    def close(self) -> None:
        """Close the connections; running reads finish. No writes may follow."""
        self._closed = True
        self._idle.close(self._reading)
        self._idle.close(self._writing)

    def _keep(self, key: object, connection: sqlite3.Connection) -> None:
        self._idle.keep(key, connection)
        if self._closed:  # while the connection was in use
            self._idle.close(key)


def create(folder: Path, definition: IndexDefinition) -> None:
    """Create the folder of an index with an empty store.

    1. Create the folder under a temporary name. 2. Create the database in it and close it. 3. Sync the folder and
       rename it to its name: the commit point.

    Raises:
        FileExistsError, OSError: the folder exists.
        StorageFull: it cannot be written.
    """
    temporary = temporary_beside(folder)
    try:
        with storage_errors(folder):
            write_empty(temporary, definition)
            sync(temporary / STORE_FILE)
            sync(temporary)
            publish(temporary, folder)
    finally:
        discard(temporary)


def write_empty(folder: Path, definition: IndexDefinition) -> None:
    """Create a folder with an empty store that is complete and closed, but not synced.

    Raises:
        OSError, sqlite3.Error: it cannot be written.
    """
    folder.mkdir(parents=True)
    connection = sqlite3.connect(folder / STORE_FILE, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        indexes = (
            statement
            for number, attribute in enumerate(definition.indexed_attributes)
            for statement in index_statements(attribute, number)
        )
        for statement in (*_SCHEMA, *indexes):
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("format_version", FORMAT_VERSION),
                ("uid", secrets.token_hex(16)),
                ("definition", definition.to_json()),
                ("version", 0),
            ],
        )
        connection.execute("COMMIT")
    finally:
        connection.close()


def _connect_reader(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    connection.execute("PRAGMA query_only = 1")
    return connection


def _connect_writer(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    """Open an existing database."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
    )


def _fold_log(writer: sqlite3.Connection, promised: int) -> tuple[str, ...]:
    """Fold the log into the database; return a report if it held fewer frames than promised."""
    ((_, frames, _),) = writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if frames >= promised:
        return ()
    return (
        f"store: its log is damaged or missing ({max(frames, 0)} of {promised} frames are whole); "
        "the last writes before the stop are lost",
    )


def _check(writer: sqlite3.Connection, path: Path) -> tuple[IndexDefinition, str]:
    """Check that this program wrote the store; return the index's definition and the store's uid."""
    _check_size(writer, path)
    meta = dict(writer.execute("SELECT key, value FROM meta").fetchall())
    int(meta["version"])
    version = int(meta["format_version"])
    if version > FORMAT_VERSION:
        raise StoreTooNew(path, version, FORMAT_VERSION)
    definition = IndexDefinition.from_json(meta["definition"])
    reader = StoreReader(writer, path, definition.dimension)
    reader.check_schema()
    if _is_small(path):
        reader.check_structure()
    return definition, str(meta["uid"])


def _is_small(path: Path) -> bool:
    return path.stat().st_size <= _SMALL_BYTES


def _check_size(writer: sqlite3.Connection, path: Path) -> None:
    """Check that the file is complete; SQLite reads a truncated part as zeros."""
    ((pages,),) = writer.execute("PRAGMA page_count").fetchall()
    ((page_bytes,),) = writer.execute("PRAGMA page_size").fetchall()
    if (size := path.stat().st_size) != pages * page_bytes:
        raise StoreDamaged(path, f"it has {size} bytes instead of {pages * page_bytes}")
