"""Writes to an index: one at a time in this process, which alone writes to the index.

Weaviate writes object by object. If a node fails in between, some objects of a message are written and others are not;
then the whole message is sent again, and if that fails too, it is not acknowledged. A message that is sent again writes
the same: an object's id follows from the item's id. It is marked as another attempt (`collections`), so that the vector
index gets what an attempt that was broken off did not bring there.

Every batch is sent twice. Weaviate 1.35 writes the log of a vector index at the end of each batch, but before the batch
is indexed, so a node that is killed would lose the vectors of its last batch. The second time nothing is changed or
indexed, and every shard of the batch writes its log.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from weaviate.classes.query import Filter as Query
from weaviate.collections.classes.filters import _Filters

from index_service.errors import ClusterUnavailable, IndexServiceError, ItemNotFound
from index_service.items import Delete, StoredItem, StoredRow, Upsert, Write, Written
from index_service.weaviate.cluster import Cluster, Objects
from index_service.weaviate.collections import NewObject, Record, describe, object_id, to_object, with_rows
from index_service.weaviate.reading import PAGE, Items

# Rows are given out in blocks, and only the end of a block is written down: after a crash, some are never used.
_ROW_BLOCK = 100_000
_ATTEMPTS = 2
_BATCH_OBJECTS = 500
_BATCH_BYTES = 16 * 2**20


class Rows:
    """Gives out row numbers, each once; used by one thread at a time."""

    def __init__(self, cluster: Cluster, record: Record) -> None:
        """Continue behind all numbers that may have been given out."""
        self._cluster = cluster
        self.record = record
        self._next = record.rows_up_to + 1

    @property
    def last(self) -> int:
        """The highest row given out."""
        return self._next - 1

    def take(self, count: int) -> range:
        """Give out the next numbers."""
        first = self._next
        if first + count - 1 > self.record.rows_up_to:
            self._write_down(first + count - 1 + _ROW_BLOCK)
        self._next = first + count
        return range(first, self._next)

    def close(self) -> None:
        """Write down which numbers were given out, so that none is skipped."""
        if self.last < self.record.rows_up_to:
            self._write_down(self.last)

    def _write_down(self, rows_up_to: int) -> None:
        record = with_rows(self.record, rows_up_to)
        self._cluster.call(lambda client: describe(client, record))
        self.record = record


@dataclass
class _Pending:
    """An item to write; without a vector, it keeps that of the stored one."""

    attributes: str
    vector: bytes | None


class Writer:
    """Commits writes; used by one thread at a time, except that `held` may be taken by another."""

    def __init__(self, cluster: Cluster, items: Items, rows: Rows) -> None:
        self._cluster = cluster
        self._items = items
        self._rows = rows
        self._name = rows.record.definition.name
        self.held = threading.Lock()  # while it is held, nothing is written
        self.changed_count = 0  # items written or deleted so far

    def commit(self, writes: Sequence[Write]) -> list[Written | IndexServiceError]:
        """Apply writes in order and return the outcome of each."""
        outcomes: list[Written | IndexServiceError] = []
        with self.held:
            for _, group in itertools.groupby(writes, key=type):
                some = list(group)
                try:
                    outcomes += self._commit(some)
                except IndexServiceError as error:
                    outcomes += [error] * len(some)
        self.changed_count += sum(each.count for each in outcomes if isinstance(each, Written))
        return outcomes

    def insert(self, rows: Sequence[StoredRow]) -> None:
        """Write rows as they are."""
        for batch in _batches(rows):
            self._insert(batch)

    def _commit(self, writes: Sequence[Write]) -> list[Written | IndexServiceError]:
        upserts = [each for each in writes if isinstance(each, Upsert)]
        return self._upsert(upserts) if upserts else [self._delete(each) for each in writes if isinstance(each, Delete)]

    def _upsert(self, writes: Sequence[Upsert]) -> list[Written | IndexServiceError]:
        items = [item for write in writes for item in write.items]
        keeping = {item.id for item in items if item.vector is None}  # their stored vectors are written again
        known = self._items.by_id(
            [item.id for item in items if item.id not in keeping], vectors=False, attributes=False
        )
        known |= self._items.by_id(list(keeping), vectors=True, attributes=False)
        pending: dict[str, _Pending] = {}
        outcomes = [_merge(write, pending, known) for write in writes]
        self.insert(self._to_rows(pending, known))
        return [*outcomes]

    def _to_rows(self, pending: dict[str, _Pending], known: dict[str, StoredItem]) -> list[StoredRow]:
        numbers = iter(self._rows.take(sum(each.vector is not None for each in pending.values())))
        rows: list[StoredRow] = []
        for item_id, each in pending.items():
            stored = known.get(item_id)
            if each.vector is not None:
                row = next(numbers)
                rows.append(StoredRow(row, stored.sequence if stored else row, item_id, each.attributes, each.vector))
            else:
                assert stored is not None  # noqa: S101 — `_merge` has checked it
                assert stored.vector is not None  # noqa: S101 — read above
                vector = stored.vector.astype("<f4").tobytes()
                rows.append(StoredRow(stored.row, stored.sequence, item_id, each.attributes, vector))
        return rows

    def _delete(self, write: Delete) -> Written:
        known = self._items.by_id(write.ids, vectors=False, attributes=False)
        ids = list(known)
        for start in range(0, len(ids), PAGE):
            query = Query.by_id().contains_any([object_id(item_id) for item_id in ids[start : start + PAGE]])

            def delete(objects: Objects, query: _Filters = query) -> None:
                result = objects.data.delete_many(query)
                if result.failed:
                    raise ClusterUnavailable(f"{result.failed} of {result.matches} items were not deleted")

            self._cluster.on(self._name, delete, writes=True)
        return Written(len(known), tuple(item_id for item_id in dict.fromkeys(write.ids) if item_id not in known))

    def _insert(self, rows: Sequence[StoredRow]) -> None:
        attempts = itertools.count()

        def insert(objects: Objects) -> dict[int, str]:
            # The cluster repeats this with its next node, which is another attempt.
            attempt = next(attempts)
            batch = [to_object(row, attempt) for row in rows]
            return _errors(objects, batch) or _errors(objects, batch)  # the second time, for its log

        for _ in range(_ATTEMPTS):
            # All are written again: Weaviate names only the first object if the vectors could not be indexed.
            problems = self._cluster.on(self._name, insert, writes=True)
            if not problems:
                return
        raise ClusterUnavailable(f"{len(rows)} items were not written: {next(iter(problems.values()))}")


def _errors(objects: Objects, batch: Sequence[NewObject]) -> dict[int, str]:
    """Write a batch and return what went wrong, by position."""
    return {number: error.message for number, error in objects.data.insert_many(batch).errors.items()}


def _merge(write: Upsert, pending: dict[str, _Pending], known: dict[str, StoredItem]) -> Written | ItemNotFound:
    """Add a write's items to those pending, or none of them."""
    there = known.keys() | pending.keys()
    for item in write.items:
        if item.vector is not None:
            there = there | {item.id}
        elif item.id not in there:
            return ItemNotFound(item.id, "its attributes cannot be changed without a vector")
    for item in write.items:
        vector = None if item.vector is None else item.vector.astype("<f4").tobytes()
        before = pending.get(item.id)
        if vector is None and before is not None:
            pending[item.id] = replace(before, attributes=item.attributes)
        else:
            pending[item.id] = _Pending(item.attributes, vector)
    return Written(len(write.items))


def _batches(rows: Sequence[StoredRow]) -> list[list[StoredRow]]:
    batches: list[list[StoredRow]] = [[]]
    size = 0
    for row in rows:
        if len(batches[-1]) == _BATCH_OBJECTS or size > _BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(row)
        size += len(row.vector) + len(row.attributes)
    return [batch for batch in batches if batch]
