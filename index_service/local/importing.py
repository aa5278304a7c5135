"""Imports: a new index is filled under a temporary name, and renamed to its own once the export is complete.

1. Create a folder with an empty store under a temporary name. 2. Insert rows as they arrive, with their original row
numbers. 3. At the trailer, compare count and checksum, then close and sync the database. 4. The catalog renames the
folder: the commit point. An import that stops before 4 leaves nothing; if the process is killed, the next start removes
the temporary folder.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from index_service.definition import IndexDefinition
from index_service.errors import InvalidExport
from index_service.export_format import ExportHeader, ExportTrailer, ImportCheck
from index_service.items import StoredRow
from index_service.local.store import STORE_FILE, write_empty
from index_service.local.writes import insert_rows
from index_service.storage import storage_errors
from serving.durable_files import discard, sync


class Import:
    """An index being filled, by one thread at a time; the caller must always discard it at the end."""

    def __init__(self, temporary: Path, definition: IndexDefinition, header: ExportHeader) -> None:
        """Prepare an import into the folder `temporary`, which is beside the index's own; touch no file yet."""
        self.folder = temporary
        self.definition = definition
        self._check = ImportCheck(header)
        self._connection: sqlite3.Connection | None = None

    def add(self, rows: Sequence[StoredRow]) -> None:
        """Insert the next rows.

        Raises:
            InvalidExport: the rows are not valid after those before.
            StorageFull: they cannot be written.
        """
        self._check.add(rows)
        with storage_errors(self.folder):
            connection = self._opened()
            try:
                connection.execute("BEGIN")
                insert_rows(connection, rows)
                connection.execute("COMMIT")
            except sqlite3.IntegrityError as error:
                raise InvalidExport("it has a duplicate id or sequence") from error

    def complete(self, trailer: ExportTrailer) -> None:
        """Check that the export is complete, and sync the new store.

        Raises:
            InvalidExport: it is not.
            StorageFull: it cannot be written.
        """
        self._check.complete(trailer)
        with storage_errors(self.folder):
            connection = self._opened()
            connection.execute("PRAGMA journal_mode = WAL")
            connection.close()
            sync(self.folder / STORE_FILE)
            sync(self.folder)

    def discard(self) -> None:
        """Close the files, and remove them if they still have their temporary name."""
        if self._connection is not None:
            self._connection.close()
        discard(self.folder)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            write_empty(self.folder, self.definition)
            path = self.folder / STORE_FILE
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            # No one reads it yet, and a partial import is useless: it is synced once, when complete.
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.execute("PRAGMA synchronous = OFF")
        return self._connection
