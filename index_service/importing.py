"""Imports: a new index is filled under a temporary name, and has its own once everything of the export is in it.

1. A folder with an empty store under a temporary name. 2. Rows as they come, each with the number it had. 3. At the
trailer, count and checksum are compared, the database is closed and synced. 4. The catalog renames the folder: the
commit point. Stopped or given up before 4, nothing is left; a process that is killed leaves the temporary folder, which
the next start removes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from index_service.definition import IndexDefinition
from index_service.errors import InvalidExport
from index_service.export_format import ExportDigest, ExportHeader, ExportTrailer
from index_service.reads import StoredRow
from index_service.storage import storage_errors
from index_service.store import STORE_FILE, write_empty
from index_service.writes import insert_rows
from serving.durable_files import discard, sync

# Doubles, in which many languages read numbers, tell whole numbers apart up to here.
_LARGEST_ROW = 2**53


class Import:
    """An index that is being filled; used by one thread at a time, and discarded at the end, whatever the end was."""

    def __init__(self, temporary: Path, definition: IndexDefinition, header: ExportHeader) -> None:
        """Names the folder `temporary`, beside the index's own, and what is to come; touches nothing yet."""
        self.folder = temporary
        self.definition = definition
        self._digest = ExportDigest(header)
        self._expected = header.item_count
        self._last_row = 0
        self._connection: sqlite3.Connection | None = None

    def add(self, rows: Sequence[StoredRow]) -> None:
        """Take in the next rows.

        Raises:
            InvalidExport: they are not what can follow.
            StorageFull: they cannot be written.
        """
        for row in rows:
            if not self._last_row < row.row <= _LARGEST_ROW:
                raise InvalidExport(f'the row of item "{row.id}", {row.row}, cannot follow {self._last_row}')
            if not 1 <= row.sequence <= row.row:
                raise InvalidExport(f'the sequence of item "{row.id}", {row.sequence}, is not 1 to {row.row}')
            self._last_row = row.row
        self._digest.add(rows)
        with storage_errors(self.folder):
            connection = self._opened()
            try:
                connection.execute("BEGIN")
                insert_rows(connection, rows)
                connection.execute("COMMIT")
            except sqlite3.IntegrityError as error:
                raise InvalidExport("it has an id or a sequence twice") from error

    def complete(self, trailer: ExportTrailer) -> None:
        """Check that the export is complete, and sync what was made of it.

        Raises:
            InvalidExport: it is not.
            StorageFull: it cannot be written.
        """
        found = self._digest.trailer()
        if not found.item_count == trailer.item_count == self._expected:
            raise InvalidExport(
                f"it has {found.item_count} items, its header says {self._expected}, its trailer {trailer.item_count}"
            )
        if found.sha256 != trailer.sha256:
            raise InvalidExport("it does not match its checksum")
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
            # Nobody reads it yet, and half of it is worth nothing: it is synced once, when it is whole.
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.execute("PRAGMA synchronous = OFF")
        return self._connection
