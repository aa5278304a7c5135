"""A base: a copy of a store as of one commit, made while it is read and written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from index_service.errors import IndexNotFound
from index_service.local.reads import StoreReader
from index_service.local.store import STORE_FILE
from index_service.replication.change_log import connected, remove_log
from index_service.replication.changes import boundary
from index_service.replication.records import Boundary
from serving.durable_files import discard, temporary_beside


@contextmanager
def copied_store(index_folder: Path, uid: str, dimension: int) -> Iterator[tuple[Path, Boundary]]:
    """Yield a copy of an index's store, and the commit that it shows; remove it at the end.

    SQLite copies its pages in one read transaction, so no commit waits. Pages that have not changed since the last copy
    are at the same place with the same bytes.

    Raises:
        IndexNotFound: the index is gone.
    """
    folder = temporary_beside(index_folder / "base")
    try:
        try:
            folder.mkdir()
        except FileNotFoundError as error:
            raise IndexNotFound(index_folder.name) from error
        copy = folder / STORE_FILE
        with connected(index_folder / STORE_FILE, uid) as source, _opened(copy) as target:
            source.backup(target)
        with _opened(copy) as connection:
            connection.execute("BEGIN")
            remove_log(connection)
            connection.execute("COMMIT")
            at = boundary(StoreReader(connection, copy, dimension))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield copy, at
    finally:
        discard(folder)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()
