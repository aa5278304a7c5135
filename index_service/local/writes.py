"""Writes to the store: writes that arrive together are one transaction.

1. BEGIN IMMEDIATE. 2. Check each write against the stored items, and apply or refuse it as a whole. 3. Increment the
version. 4. COMMIT: the commit point; SQLite has synced the log when it returns. Before it, nothing is kept.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from index_service.errors import ItemNotFound
from index_service.items import Delete, NewItem, StoredRow, Upsert, Write, Written
from index_service.local.snapshot import Changes
from index_service.local.store import Store
from index_service.vectors import Vectors

Outcome: TypeAlias = Written | ItemNotFound


class StoreWriter:
    """Commits writes; used by one thread at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def commit(self, writes: Sequence[Write]) -> tuple[list[Outcome], Changes]:
        """Apply writes in one transaction; return the outcome of each, and what changed.

        Raises:
            StorageFull, StoreDamaged, TooManyOpenFiles: none of the writes was kept.
        """
        with self._store.write() as connection:
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
            transaction = _Transaction(connection, next_row=(found[0] if found else 0) + 1)
            outcomes = [transaction.apply(write) for write in writes]
            ((version,),) = connection.execute(
                "UPDATE meta SET value = value + 1 WHERE key = 'version' RETURNING value"
            ).fetchall()
            connection.execute("COMMIT")
        dimension = self._store.definition.dimension
        vectors = np.array(transaction.vectors, dtype=np.float32).reshape(-1, dimension)
        added = np.array(transaction.added, dtype=np.int64)
        return outcomes, Changes(version, added, vectors, np.array(transaction.removed, dtype=np.int64))


@dataclass
class _Transaction:
    """An open transaction and its changes so far."""

    connection: sqlite3.Connection
    next_row: int
    added: list[int] = field(default_factory=list)
    vectors: list[Vectors] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)

    def apply(self, write: Write) -> Outcome:
        """Apply a write completely, or refuse it completely."""
        match write:
            case Upsert():
                return self._upsert(write)
            case Delete():
                return self._delete(write)

    def _upsert(self, write: Upsert) -> Outcome:
        items = _merged(write.items)
        known = self._known([item.id for item in items])
        existing = set(known)
        for item in write.items:
            if item.vector is not None:
                existing.add(item.id)
            elif item.id not in existing:
                return ItemNotFound(item.id, "its attributes cannot be changed without a vector")
        self.connection.executemany(
            "UPDATE items SET attributes = ? WHERE row = ?",
            [(item.attributes, known[item.id][0]) for item in items if item.vector is None],
        )
        placed = [item for item in items if item.vector is not None]
        self._remove([known[item.id][0] for item in placed if item.id in known])
        first = self.next_row
        self.next_row += len(placed)
        numbered = list(enumerate(placed, first))
        insert_rows(
            self.connection,
            [
                StoredRow(
                    row,
                    known.get(item.id, (row, row))[1],
                    item.id,
                    item.attributes,
                    item.vector.astype("<f4").tobytes(),
                )
                for row, item in numbered
                if item.vector is not None
            ],
        )
        self.added.extend(row for row, _ in numbered)
        self.vectors.extend(item.vector for item in placed if item.vector is not None)
        return Written(len(write.items))

    def _delete(self, write: Delete) -> Outcome:
        known = self._known(write.ids)
        self._remove([row for row, _ in known.values()])
        return Written(len(known), tuple(item_id for item_id in dict.fromkeys(write.ids) if item_id not in known))

    def _known(self, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Return (row, sequence) of the ids that exist."""
        cursor: sqlite3.Cursor = self.connection.execute(
            "SELECT id, row, sequence FROM items WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(ids),)
        )
        return {item_id: (row, sequence) for item_id, row, sequence in cursor}

    def _remove(self, rows: Sequence[int]) -> None:
        numbers = [(row,) for row in rows]
        self.connection.executemany("DELETE FROM items WHERE row = ?", numbers)
        self.connection.executemany("DELETE FROM vectors WHERE row = ?", numbers)
        self.removed.extend(rows)


def insert_rows(connection: sqlite3.Connection, rows: Sequence[StoredRow]) -> None:
    """Insert rows within the open transaction."""
    connection.executemany(
        "INSERT INTO items (row, sequence, id, attributes) VALUES (?, ?, ?, ?)",
        [(row.row, row.sequence, row.id, row.attributes) for row in rows],
    )
    connection.executemany("INSERT INTO vectors (row, vector) VALUES (?, ?)", [(row.row, row.vector) for row in rows])


def _merged(items: Sequence[NewItem]) -> list[NewItem]:
    """Return one item per id, as if the items had been written in order."""
    merged: dict[str, NewItem] = {}
    for item in items:
        before = merged.get(item.id)
        if before is not None and item.vector is None:
            merged[item.id] = replace(before, attributes=item.attributes)
        else:
            merged[item.id] = item
    return list(merged.values())
