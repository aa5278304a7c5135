"""Reading one index: its store, and the snapshot of its rows that searches use.

A read sees one version of everything (`_pin`) and waits for no write. `VectorIndex` adds writes and merges; a read
replica follows what another machine publishes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from index_service.attributes import AttributePath
from index_service.definition import IndexDefinition
from index_service.descriptions import CheckStep, SegmentStats, Stats
from index_service.errors import ItemNotFound, ModelMismatch, PositionOutOfDate
from index_service.export_format import ExportPiece
from index_service.filters import Filter
from index_service.items import StoredItem
from index_service.local.checking import check
from index_service.local.descending import descending
from index_service.local.exporting import export
from index_service.local.found_damage import FoundDamage
from index_service.local.manifest import Manifest
from index_service.local.reads import StoreReader
from index_service.local.search import search
from index_service.local.segments import SEGMENTS_FOLDER, written_nanoseconds
from index_service.local.snapshot import Published, Snapshot
from index_service.local.store import Store
from index_service.local.within import count_within
from index_service.results import Answer, Count, Listed, Listing, Neighbor, Position
from index_service.vectors import Vectors
from serving.durable_files import size_bytes

# A search up to these sizes takes less than a millisecond.
_SMALL_ROW_COUNT = 4_096
_SMALL_K = 100


class IndexReads(ABC):
    """The reads of an open index."""

    def __init__(self, folder: Path, store: Store, published: Published, damage: FoundDamage) -> None:
        """Read the index in `folder`, in which `damage` was found so far."""
        self.folder = folder
        self.definition: IndexDefinition = store.definition
        self._store = store
        self._published = published
        self._damage = damage

    @property
    @abstractmethod
    def manifest(self) -> Manifest:
        """The segments in use, as on disk."""

    def check_model(self, model_id: str) -> None:
        """Check that vectors of a model can be compared with those of this index.

        Raises:
            ModelMismatch: they cannot.
        """
        if model_id != self.definition.model_id:
            raise ModelMismatch(self.definition.name, self.definition.model_id, model_id)

    @property
    def store(self) -> Store:
        """Its store."""
        return self._store

    @property
    def uid(self) -> str:
        """An id that no other index has or ever had, not even one with the same name."""
        return self._store.uid

    @property
    def version(self) -> int:
        """The number of the last commit; every acknowledged write is in it or in one before."""
        return self._published.newest.version

    def read(self) -> AbstractContextManager[StoreReader]:
        """Open a read transaction of the store; raises as `Store.read`."""
        return self._store.read()

    def answers_at_once(self, k: int) -> bool:
        """Return whether a search for `k` neighbours takes no longer than handing it to a thread would."""
        return k <= _SMALL_K and sum(len(part.rows) for part in self._published.newest.parts) <= _SMALL_ROW_COUNT

    def check_uid(self, uid: str) -> None:
        """Check that search positions from the index with `uid` are valid in this one.

        Raises:
            PositionOutOfDate: that is a different index.
        """
        if uid != self.uid:
            raise PositionOutOfDate(self.definition.name)

    def items(self, ids: Sequence[str], *, vectors: bool) -> dict[str, StoredItem]:
        """Return the items that exist among `ids`, with attributes, by id."""
        with self._store.read() as reader:
            return reader.items(ids, attributes=True, vectors=vectors)

    def page(self, after: int, limit: int, condition: Filter, *, vectors: bool) -> Generator[StoredItem, None, None]:
        """Yield the next `limit` items after sequence `after` that pass `condition`, in the order of first addition.

        Items are read lazily; the caller must close the generator.
        """
        with self._store.read() as reader:
            yield from reader.page(after, limit, condition, vectors=vectors)

    def search(
        self,
        queries: Sequence[Vectors | str],
        k: int,
        condition: Filter | None,
        *,
        attributes: bool,
        vectors: bool = False,
        recall: float | None = None,
        after: Sequence[Position | None] | None = None,
    ) -> Answer:
        """Find the `k` nearest items of each query; see `contract.Index.search`."""
        with self._pin() as (reader, snapshot):
            targets, without = self._targets(reader, queries)
            among = None if condition is None else reader.rows(condition)
            aim = recall or self.definition.recall_target
            after = after or [None] * len(queries)
            hits, compared_all = search(snapshot, targets, k, without, after, among, aim)
            rows = np.unique(np.concatenate([hit.rows for hit in hits]))
            items = reader.items_of(rows, attributes=attributes, vectors=vectors)
        neighbors = tuple(
            tuple(
                Neighbor(items[row].id, distance, row, items[row].attributes, items[row].vector)
                for row, distance in zip(hit.rows.tolist(), hit.distances.tolist(), strict=True)
            )
            for hit in hits
        )
        return Answer(neighbors, compared_all)

    def descending(self, listing: Listing, *, vectors: bool) -> Generator[list[Listed], None, None]:
        """Yield the items of a list in descending order of an attribute, block by block; see `descending`."""
        with self._pin() as (reader, snapshot):
            yield from descending(reader, snapshot, listing, vectors=vectors)

    def count(
        self, condition: Filter | None, near: Vectors | None, bounds: Sequence[float], left_out: Sequence[str]
    ) -> Generator[Count, None, None]:
        """Yield counts of items that pass a filter, which grow until the last; see `Count`.

        Args:
            condition: The filter that items must pass; None lets all pass.
            near: A vector (dimension,) of length 1, or None to count without distances.
            bounds: Distances from the vector, ascending.
            left_out: Ids of items that are not counted by distance.
        """
        with self._pin() as (reader, snapshot):
            if near is None:
                yield Count(snapshot.alive_count if condition is None else reader.count(condition), ())
                return
            among = None if condition is None else reader.rows(condition)
            count = snapshot.alive_count if among is None else len(among)
            items = reader.items(left_out, attributes=False, vectors=False).values()
            rows = np.array([item.row for item in items], dtype=np.int64)
            for within in count_within(snapshot, near, bounds, among, rows):
                yield Count(count, tuple(within.tolist()))

    def sum_of(self, path: AttributePath) -> tuple[int, float]:
        """Return how many items have a number at a path, and the sum of these numbers."""
        with self._store.read() as reader:
            return reader.sum_of(path)

    def export(self) -> Generator[ExportPiece, None, None]:
        """Yield the pieces of an export of the current version; see `exporting`."""
        return export(self._store)

    def check(self) -> Generator[CheckStep, None, None]:
        """Check all data of the index for damage; see `checking`."""
        with self._pin() as (reader, snapshot):
            yield from check(self.folder, reader, snapshot, lambda: self.manifest)

    def stats(self) -> Stats:
        """Return what the index currently consists of."""
        snapshot = self._published.newest
        segments = tuple(
            SegmentStats(
                len(part.rows),
                part.dead_count,
                part.searcher.tuned(),
                written_nanoseconds(self.folder, part.name),
            )
            for part in snapshot.segments
        )
        found = sum(each.tuned.recall * (each.row_count - each.deleted_row_count) for each in segments)
        count = snapshot.alive_count
        disk_bytes, segment_disk_bytes = size_bytes(self.folder, SEGMENTS_FOLDER)
        return Stats(
            item_count=count,
            segment_count=len(snapshot.segments),
            segment_row_count=sum(len(segment.rows) for segment in snapshot.segments),
            live_row_count=snapshot.live.alive_count,
            deleted_row_count=sum(segment.dead_count for segment in snapshot.segments),
            disk_bytes=disk_bytes,
            segment_disk_bytes=segment_disk_bytes,
            repairs=self._damage.problems,
            recall=(found + snapshot.live.alive_count) / count if count else 1.0,
            segments=segments,
        )

    @contextmanager
    def _pin(self) -> Iterator[tuple[StoreReader, Snapshot]]:
        """Yield a read transaction and the snapshot of the same version.

        The transaction begins first. If this thread is then delayed for many commits, the snapshot may no longer be
        kept; then both are taken again.
        """
        while True:
            with self._store.read() as reader:
                snapshot = self._published.at(reader.version())
                if snapshot is not None:
                    yield reader, snapshot
                    return

    def _targets(self, reader: StoreReader, queries: Sequence[Vectors | str]) -> tuple[Vectors, list[int | None]]:
        """Return the queries' vectors (m, dimension), and for each query that is an item's id, its row."""
        ids = [query for query in queries if isinstance(query, str)]
        items = reader.items(ids, attributes=False, vectors=True) if ids else {}
        vectors = np.empty((len(queries), self.definition.dimension), dtype=np.float32)
        without: list[int | None] = []
        for number, query in enumerate(queries):
            if not isinstance(query, str):
                vectors[number] = query
                without.append(None)
                continue
            item = items.get(query)
            if item is None or item.vector is None:
                raise ItemNotFound(query, "it has no neighbours")
            vectors[number] = item.vector
            without.append(item.row)
        return vectors, without
