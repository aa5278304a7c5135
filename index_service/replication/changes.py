"""The rows of a change: read from the writer's store, sent as parts, and applied to a replica's store.

A change leads from the commit `after` to the commit `to`. It says how the rows that it names are at `to`, so applying
it twice, or to a state in between, gives the same result: first rows are removed, then attributes replaced, then rows
added that are not there.

Format of a part: the length of the following JSON as 8 bytes, little-endian; the JSON, compressed by zlib; the vectors
of the added rows. Rows are removed in the parts before those that add some.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from index_service.items import StoredRow
from index_service.local.reads import StoreReader
from index_service.local.snapshot import Changes
from index_service.local.writes import insert_rows
from index_service.replication.records import Boundary, Change

_LENGTH = struct.Struct("<Q")
# About 8 MB of vectors with 300 numbers.
_PART_BYTES = 2**23
_PAGE_ROWS = 1_024


@dataclass(frozen=True)
class Part:
    """Rows of a change; the vectors are float32, little-endian."""

    removed: Sequence[int] = ()
    attributes: Sequence[tuple[int, str]] = ()
    added: Sequence[StoredRow] = ()

    def to_bytes(self) -> bytes:
        """Return the part as it is published."""
        described = json.dumps(
            {
                "removed": list(self.removed),
                "attributes": list(self.attributes),
                "added": [(row.row, row.sequence, row.id, row.attributes) for row in self.added],
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )
        compressed = zlib.compress(described.encode(), 1)
        return b"".join([_LENGTH.pack(len(compressed)), compressed, *(row.vector for row in self.added)])

    @classmethod
    def from_bytes(cls, content: bytes, dimension: int) -> Part:
        """Read what `to_bytes` wrote."""
        (length,) = _LENGTH.unpack_from(content)
        start = _LENGTH.size + length
        described = json.loads(zlib.decompress(content[_LENGTH.size : start]))
        size = 4 * dimension
        return cls(
            described["removed"],
            [(row, text) for row, text in described["attributes"]],
            [
                StoredRow(row, sequence, item_id, text, content[at : at + size])
                for at, (row, sequence, item_id, text) in zip(
                    range(start, len(content) + 1, size), described["added"], strict=False
                )
            ],
        )


def boundary(reader: StoreReader) -> Boundary:
    """Return the commit that a read transaction sees."""
    return Boundary(version=reader.version(), last_row=reader.last_row())


def parts_since(reader: StoreReader, after: Boundary) -> Iterator[Part]:
    """Yield the parts of the change from a commit to that of a read transaction of a store with a log.

    Raises:
        StoreDamaged: a row has no vector of the right size.
    """
    removed: list[int] = []
    attributes: list[tuple[int, str]] = []
    size = 0
    for row, text in reader.changed_rows(after.version):
        if text is None:
            removed.append(row)
        elif row <= after.last_row:
            attributes.append((row, text))
            size += len(text)
        if size >= _PART_BYTES:
            yield Part(removed, attributes)
            removed, attributes, size = [], [], 0
    if removed or attributes:
        yield Part(removed, attributes)
    added: list[StoredRow] = []
    size, last = 0, after.last_row
    while page := reader.stored_rows(last, _PAGE_ROWS):
        last = page[-1].row
        for each in page:
            reader.check_size(each)
            added.append(each)
            size += len(each.vector) + len(each.attributes)
            if size >= _PART_BYTES:
                yield Part(added=added)
                added, size = [], 0
    if added:
        yield Part(added=added)


def apply(connection: sqlite3.Connection, change: Change, parts: Iterable[Part], dimension: int) -> Changes:
    """Apply a change to a replica's store, in one transaction; return what changes in a snapshot of its rows."""
    connection.execute("BEGIN IMMEDIATE")
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
    last_row = found[0] if found else 0
    removed: list[int] = []
    added: list[StoredRow] = []
    for part in parts:
        numbers = [(row,) for row in part.removed]
        connection.executemany("DELETE FROM items WHERE row = ?", numbers)
        connection.executemany("DELETE FROM vectors WHERE row = ?", numbers)
        connection.executemany(
            "UPDATE items SET attributes = ? WHERE row = ?", [(text, row) for row, text in part.attributes]
        )
        # Rows up to the last one are here already, with these or newer attributes.
        connection.executemany(
            "UPDATE items SET attributes = ? WHERE row = ?",
            [(row.attributes, row.row) for row in part.added if row.row <= last_row],
        )
        new = [row for row in part.added if row.row > last_row]
        insert_rows(connection, new)
        removed += part.removed
        added += new
    connection.execute("UPDATE meta SET value = ? WHERE key = 'version'", (change.to.version,))
    if change.to.last_row > last_row:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'items'")
        connection.execute("INSERT INTO sqlite_sequence VALUES ('items', ?)", (change.to.last_row,))
    connection.execute("COMMIT")
    vectors = np.frombuffer(b"".join(row.vector for row in added), dtype="<f4").reshape(-1, dimension)
    rows = np.array([row.row for row in added], dtype=np.int64)
    return Changes(change.to.version, rows, vectors, np.array(removed, dtype=np.int64))
