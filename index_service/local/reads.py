"""Reads of the store within one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index_service.attributes import AttributePath
from index_service.errors import StoreDamaged
from index_service.filters import Filter, to_sql
from index_service.items import StoredItem, StoredRow
from index_service.results import Place
from index_service.vectors import Vectors

_CHUNK = 4_096
_LENGTH_TOLERANCE = 1e-3


class StoreReader:
    """A read transaction of a store."""

    def __init__(self, connection: sqlite3.Connection, path: Path, dimension: int) -> None:
        self._connection = connection
        self._path = path
        self._dimension = dimension

    def version(self) -> int:
        """Return the version that this transaction sees, and pin it."""
        ((version,),) = self._connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchall()
        return int(version)

    def last_row(self) -> int:
        """Return the highest row number ever assigned; 0 if none was."""
        found = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
        return int(found[0]) if found else 0

    def check_schema(self) -> None:
        """Check that the store has the tables and columns that this program reads.

        Raises:
            sqlite3.Error: it does not, or SQLite cannot read the file.
        """
        self._connection.execute(
            "SELECT row, sequence, id, attributes, vector FROM items JOIN vectors USING (row) LIMIT 0"
        )

    def check_structure(self) -> None:
        """Read the whole file and check its structure; the bytes of an item have no checksum.

        100,000 items of 300 numbers take 0.15 s, about as long as the checksums of their segments.

        Raises:
            StoreDamaged: the structure is broken.
            sqlite3.Error: SQLite cannot read the file.
        """
        ((problem,),) = self._connection.execute("PRAGMA integrity_check(1)").fetchall()
        if problem != "ok":
            raise StoreDamaged(self._path, problem)

    def quick_check(self) -> list[str]:
        """Let SQLite check the whole file for damage; return its first ten reports.

        Raises:
            sqlite3.Error: SQLite cannot read the file.
        """
        self._connection.execute("PRAGMA shrink_memory")  # check the file, not the page cache
        reports = [str(text) for (text,) in self._connection.execute("PRAGMA quick_check(10)")]
        return [] if reports == ["ok"] else reports

    def count(self, condition: Filter | None = None) -> int:
        """Return the number of items that pass the filter."""
        passes = to_sql(condition or Filter())
        ((count,),) = self._connection.execute(
            f"SELECT count(*) FROM items WHERE {passes.text}",  # noqa: S608 — values are parameters
            passes.parameters,
        ).fetchall()
        return int(count)

    def sum_of(self, path: AttributePath) -> tuple[int, float]:
        """Return how many items have a number at a path, and the sum of these numbers."""
        number = f"json_extract(attributes, {path.sql})"
        ((count, total),) = self._connection.execute(
            f"SELECT count(*), total({number}) FROM items"  # noqa: S608 — a path is a safe literal
            f" WHERE json_type(attributes, {path.sql}) IN ('integer', 'real')"
        ).fetchall()
        return int(count), float(total)

    def stray_vector_count(self) -> int:
        """Return the number of vectors that belong to no item."""
        ((count,),) = self._connection.execute(
            "SELECT count(*) FROM vectors WHERE row NOT IN (SELECT row FROM items)"
        ).fetchall()
        return int(count)

    def stored_rows(self, after: int, limit: int) -> list[StoredRow]:
        """Return the next `limit` rows after row number `after`, in ascending order and unchecked."""
        cursor = self._connection.execute(
            "SELECT items.row, sequence, id, attributes, ifnull(vector, x'') FROM items LEFT JOIN vectors"
            " ON vectors.row = items.row WHERE items.row > ? ORDER BY items.row LIMIT ?",
            (after, limit),
        )
        return [StoredRow(*columns) for columns in cursor]

    def changed_rows(self, after: int) -> Iterator[tuple[int, str | None]]:
        """Yield the rows that commits after a version changed or removed, and their attributes; None if removed.

        Ascending; rows that were added since and not changed are not among them. Only a store that is published has
        the log that this reads (`replication.change_log`).
        """
        return iter(
            self._connection.execute(
                "SELECT row, attributes FROM changed_rows LEFT JOIN items USING (row) WHERE version > ? ORDER BY row",
                (after,),
            )
        )

    def check_size(self, row: StoredRow) -> None:
        """Check that a row has a vector of the right size.

        Raises:
            StoreDamaged: it has not.
        """
        if len(row.vector) != 4 * self._dimension:
            raise StoreDamaged(self._path, f"row {row.row} has no vector of the right size")

    def rows(self, condition: Filter | None = None) -> NDArray[np.int64]:
        """Return the row numbers of the items that pass the filter, ascending."""
        passes = to_sql(condition or Filter())
        cursor = self._connection.execute(
            f"SELECT row FROM items WHERE {passes.text} ORDER BY row",  # noqa: S608 — values are parameters
            passes.parameters,
        )
        return np.fromiter((row for (row,) in cursor), dtype=np.int64)

    def vectors(self, rows: NDArray[np.int64]) -> Vectors:
        """Return the vectors (n, dimension) of rows, which must be ascending.

        Raises:
            StoreDamaged: a row has no vector of the right size, or its vector does not have length 1.
        """
        found = np.empty((len(rows), self._dimension), dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            cursor = self._connection.execute(
                "SELECT vector FROM vectors WHERE row IN (SELECT value FROM json_each(?)) ORDER BY row",
                (json.dumps(chunk.tolist()),),
            )
            blobs = [blob for (blob,) in cursor]
            if len(blobs) != len(chunk):
                raise StoreDamaged(self._path, f"{len(chunk) - len(blobs)} rows have no vector")
            for offset, blob in enumerate(blobs):
                found[start + offset] = self._vector(blob)
        # A vector's only redundancy is its length. One NaN among the searched vectors would hide all others.
        lengths = np.einsum("ij,ij->i", found, found)
        if not np.allclose(lengths, 1.0, rtol=0, atol=_LENGTH_TOLERANCE):
            raise StoreDamaged(self._path, "a vector does not have length 1")
        return found

    def items(self, ids: Sequence[str], *, attributes: bool, vectors: bool) -> dict[str, StoredItem]:
        """Return the items that exist among `ids`, by id."""
        found = self._select(
            "id IN (SELECT value FROM json_each(?))", [json.dumps(ids)], attributes=attributes, vectors=vectors
        )
        return {item.id: item for item in found}

    def items_of(self, rows: NDArray[np.int64], *, attributes: bool, vectors: bool) -> dict[int, StoredItem]:
        """Return the items of rows, by row."""
        found = self._select(
            "row IN (SELECT value FROM json_each(?))",
            [json.dumps(rows.tolist())],
            attributes=attributes,
            vectors=vectors,
        )
        return {item.row: item for item in found}

    def page(self, after: int, limit: int, condition: Filter, *, vectors: bool) -> Iterator[StoredItem]:
        """Yield the next `limit` items after sequence `after` that pass the filter, in the order of `sequence`."""
        passes = to_sql(condition)
        return self._select(
            f"sequence > ? AND {passes.text} ORDER BY sequence LIMIT ?",
            [after, *passes.parameters, limit],
            attributes=True,
            vectors=vectors,
        )

    def places(self, path: AttributePath, after: Place | None, condition: Filter) -> Iterator[Place]:
        """Yield the places, after one, of items that pass the filter: greatest first, then those without a value.

        Equals are ordered by row, newest first. With a database index on the attribute, nothing is sorted, and a row
        takes 0.4 µs.
        """
        passes = to_sql(condition)
        value = f"attributes -> {path.sql}"
        bounds: list[str | float] = []
        if after is None or after.value is not None:
            beyond = "TRUE"
            if after is not None and after.value is not None:
                # Not `(value, row) < (?, ?)`, which SQLite does not look up in the index.
                beyond, bounds = f"{value} <= ? AND ({value} < ? OR row < ?)", [after.value, after.value, after.row]
            yield from self._places(
                f"{value} IS NOT NULL AND {beyond} AND {passes.text} ORDER BY {value} DESC, row DESC",
                path,
                [*bounds, *passes.parameters],
            )
            after = None
        beyond, bounds = ("TRUE", []) if after is None else ("row < ?", [after.row])
        yield from self._places(
            f"{value} IS NULL AND {beyond} AND {passes.text} ORDER BY row DESC", path, [*bounds, *passes.parameters]
        )

    def places_of(self, path: AttributePath, rows: NDArray[np.int64]) -> Iterator[Place]:
        """Yield the places of rows, in no order; a row takes 4 µs."""
        return self._places("row IN (SELECT value FROM json_each(?))", path, [json.dumps(rows.tolist())])

    def _places(self, where: str, path: AttributePath, parameters: Sequence[str | float]) -> Iterator[Place]:
        cursor = self._connection.execute(
            f"SELECT attributes -> {path.sql}, row FROM items WHERE {where}",  # noqa: S608 — values are parameters
            parameters,
        )
        return (Place(value, row) for value, row in cursor)

    def _select(
        self, where: str, parameters: Sequence[str | float], *, attributes: bool, vectors: bool
    ) -> Iterator[StoredItem]:
        columns = f"row, sequence, id, {'attributes' if attributes else 'NULL'}, {'vector' if vectors else 'NULL'}"
        tables = "items JOIN vectors USING (row)" if vectors else "items"
        cursor = self._connection.execute(
            f"SELECT {columns} FROM {tables} WHERE {where}",  # noqa: S608 — values are parameters
            parameters,
        )
        for row, sequence, item_id, text, blob in cursor:
            if not (isinstance(sequence, int) and isinstance(item_id, str) and isinstance(text, str | None)):
                raise StoreDamaged(self._path, f"row {row} has a value of the wrong type")
            yield StoredItem(row, sequence, item_id, text, None if blob is None else self._vector(blob))

    def _vector(self, blob: object) -> Vectors:
        if not isinstance(blob, bytes) or len(blob) != 4 * self._dimension:
            raise StoreDamaged(self._path, f"a vector does not have {4 * self._dimension} bytes")
        return np.frombuffer(blob, dtype="<f4")
