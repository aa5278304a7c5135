"""An index in Weaviate; `contract.Index` says what its methods do, and `LACKS` what differs."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from index_service.attributes import AttributePath, from_json, is_canonical, to_json
from index_service.contract import Progress, Promise
from index_service.definition import IndexDefinition
from index_service.descriptions import STORE, CheckProgress, CheckReport, CheckStep, Damage, Stats
from index_service.errors import (
    IndexNotFound,
    ItemNotFound,
    ModelMismatch,
    NotWithEngine,
    PositionOutOfDate,
    StoreDamaged,
)
from index_service.export_format import ExportDigest, ExportHeader, ExportPiece
from index_service.filters import Exists, Filter
from index_service.group_commit import GroupCommit
from index_service.items import Delete, StoredItem, StoredRow, Upsert, Write, Written
from index_service.matching import values_at
from index_service.results import Answer, Count, Listed, Listing, Place, Position
from index_service.vectors import Vectors, distances, first_bounds, not_of_length_1
from index_service.weaviate.cluster import Cluster
from index_service.weaviate.collections import Record
from index_service.weaviate.reading import Items
from index_service.weaviate.recall import MeasuredRecall, recall_of, sample_size
from index_service.weaviate.searching import Search, Searcher
from index_service.weaviate.writing import Rows, Writer
from serving.background import WorkHealth

LACKS: Mapping[Promise, str] = {
    Promise.WHOLE_MESSAGES: "items are written one by one: of a message that failed, some may have been written",
    Promise.ONE_VERSION: "a list, count or search that takes several queries may see a write in some of them",
    Promise.SEARCHED_AT_ONCE: (
        "holds if writes wait for all replicas (consistency ALL, or one replica); else a search may miss a write for "
        "as long as the replica that answers lacks it"
    ),
    Promise.ANY_DEPTH: "a search goes down to 10,000 neighbours; beyond, it is refused",
    Promise.ANY_RECALL: "a search has the recall of its index, or compares all items",
    Promise.REBUILD: "OptimizeIndex measures the recall; a rebuild is refused, because Weaviate rebuilds by itself",
    Promise.EXPORT_BESIDE_WRITES: "writes wait while an export or a snapshot reads the index",
    Promise.ANY_NAME: "a name of more than 122 characters may be refused if it has many capitals and signs",
}


@dataclass(frozen=True)
class Threads:
    """The threads that all indexes of the cluster share."""

    commits: Executor
    background: Executor


class WeaviateIndex:
    """An open index."""

    def __init__(self, cluster: Cluster, record: Record, threads: Threads, health: WorkHealth) -> None:
        self.definition: IndexDefinition = record.definition
        self.uid = record.uid
        self._items = Items(cluster, record.definition)
        self._rows = Rows(cluster, record)
        self._searcher = Searcher(cluster, record.definition, self._items)
        self.writer = Writer(cluster, self._items, self._rows)
        self._commits: GroupCommit[Write, Written] = GroupCommit(self.writer.commit, threads.commits)
        self._threads = threads
        self._recall = MeasuredRecall(record.definition.name, threads.background, health)

    @property
    def record(self) -> Record:
        """What the collection's description holds."""
        return self._rows.record

    def answers_at_once(self, k: int) -> bool:
        """Never: a search asks another machine."""
        return False

    def check_model(self, model_id: str) -> None:
        """Check that a model's vectors can be compared with those of the index; raise ModelMismatch if not."""
        if model_id != self.definition.model_id:
            raise ModelMismatch(self.definition.name, self.definition.model_id, model_id)

    def check_uid(self, uid: str) -> None:
        """Check that positions from the index with `uid` are valid here; raise PositionOutOfDate if not."""
        if uid != self.uid:
            raise PositionOutOfDate(self.definition.name)

    def items(self, ids: Sequence[str], *, vectors: bool) -> Mapping[str, StoredItem]:
        """Return the items that exist among `ids`."""
        return self._items.by_id(ids, vectors=vectors)

    def page(self, after: int, limit: int, condition: Filter, *, vectors: bool) -> Generator[StoredItem, None, None]:
        """Yield the next items by sequence."""
        left = limit
        for block in self._items.scan(condition, after, vectors=vectors):
            yield from block[:left]
            left -= len(block)
            if left <= 0:
                return

    def descending(self, listing: Listing, *, vectors: bool) -> Generator[Sequence[Listed], None, None]:
        """Yield a list in descending order of an attribute; all items are read for it."""
        within = listing.within
        after = None if listing.after is None else _key(listing.after)
        chosen: list[Listed] = []
        for block in self._items.scan(listing.condition, 0, vectors=vectors or within is not None):
            lengths: list[float | None] = [None] * len(block)
            if within is not None and block:
                lengths = [*distances(within.vector, _stacked(block)).tolist()]
            listed = [
                Listed(item, _place(item, listing.path), length) for item, length in zip(block, lengths, strict=True)
            ]
            chosen = heapq.nlargest(
                listing.limit,
                (
                    *chosen,
                    *(
                        each
                        for each in listed
                        if (after is None or _key(each.place) < after)
                        and (within is None or each.distance is None or each.distance <= np.float32(within.distance))
                    ),
                ),
                key=lambda each: _key(each.place),
            )
            yield []
        yield chosen

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
        """Find the nearest items of each query."""
        ids = [query for query in queries if isinstance(query, str)]
        known = self._items.by_id(ids, vectors=True, attributes=False) if ids else {}
        compare_all = (recall or self.definition.recall_target) >= 1
        compared_all = True
        results = []
        for query, position in zip(queries, after or [None] * len(queries), strict=True):
            stored = known.get(query) if isinstance(query, str) else None
            if isinstance(query, str) and (stored is None or stored.vector is None):
                raise ItemNotFound(query, "it has no neighbours")
            vector = stored.vector if stored is not None else query
            assert not isinstance(vector, str | None)  # noqa: S101 — checked above
            what = Search(vector, k, condition, position, stored.row if stored else None, attributes, compare_all)
            neighbors, compared = self._searcher.search(what, self._rows.last)
            results.append(tuple(each if vectors else replace(each, vector=None) for each in neighbors))
            compared_all = compared_all and compared
        return Answer(tuple(results), compared_all)

    def count(
        self, condition: Filter | None, near: Vectors | None, bounds: Sequence[float], left_out: Sequence[str]
    ) -> Generator[Count, None, None]:
        """Yield counts; by distance, all items are read and compared here."""
        if near is None:
            yield Count(self._items.count(condition), ())
            return
        limits = np.asarray(bounds, dtype=np.float32)
        counts = np.zeros(len(bounds) + 1, dtype=np.int64)
        items, without = 0, set(left_out)
        yield Count(0, tuple(counts[:-1].tolist()))
        for block in self._items.scan(condition, 0, vectors=True):
            items += len(block)
            counted = [item for item in block if item.id not in without]
            if counted:
                first = first_bounds(near, _stacked(counted), limits)
                counts += np.bincount(first, minlength=len(counts))
            yield Count(items, tuple(np.cumsum(counts[:-1]).tolist()))

    def sum_of(self, path: AttributePath) -> tuple[int, float]:
        """Return how many items have a number at a path, and their sum."""
        count, total = 0, 0.0
        for block in self._items.scan(Exists(path, True), 0, vectors=False):
            for item in block:
                (value,) = values_at(path, from_json(item.attributes or "{}")) or (None,)
                if isinstance(value, int | float) and not isinstance(value, bool):
                    count, total = count + 1, total + value
        return count, total

    def stats(self) -> Stats:
        """Return the number of items and the recall last measured; perhaps begin the next measurement."""
        count = self._items.count(None)
        self._recall.measure_if_due(count, self.writer.changed_count, self._measure)
        return Stats(count, 0, 0, count, 0, 0, 0, (), self._recall.recall, (), self._recall.measurement)

    def export(self) -> Generator[ExportPiece, None, None]:
        """Yield the index as it is; writes wait until the end."""
        with self.writer.held:
            yield from self.export_held()

    def export_held(self) -> Generator[ExportPiece, None, None]:
        """Yield the index as it is; the caller holds writes."""
        header = ExportHeader(self.definition, self._items.count(None), self._rows.last)
        digest = ExportDigest(header)
        yield header
        for block in self._items.scan(None, 0, order="row", vectors=True):
            rows = tuple(_to_row(item) for item in block)
            digest.add(rows)
            if rows:
                yield rows
        yield digest.trailer()

    def check(self) -> Generator[CheckStep, None, None]:
        """Check that every object is an item as it should be."""
        total = self._items.count(None)
        yield CheckProgress(0, total)
        done = 0
        lengths, texts = [], []
        for block in self._items.scan(None, 0, vectors=True):
            done += len(block)
            if block:
                lengths += [block[number].id for number in not_of_length_1(_stacked(block)).tolist()]
            texts += [item.id for item in block if not is_canonical(item.attributes or "")]
            yield CheckProgress(done, max(done, total))
        damages = [
            Damage(STORE, f"{problem}: {len(ids)}, the first is {ids[0]}", False)
            for problem, ids in (
                ("items whose vector is not of length 1", lengths),
                ("items whose attributes cannot be read", texts),
            )
            if ids
        ]
        yield CheckReport(tuple(damages), done, 0)

    def upsert(self, write: Upsert) -> Future[Written]:
        """Write items; the future is done when as many replicas have them as is set."""
        return self._commits.submit(write)

    def delete(self, write: Delete) -> Future[Written]:
        """Delete items; the future is done when as many replicas have done so as is set."""
        return self._commits.submit(write)

    def bulk(self) -> AbstractContextManager[None]:
        """Change nothing: Weaviate indexes each item as it is written."""
        return nullcontext()

    def optimize(self, progress: Progress, *, rebuild: bool = False) -> Future[None]:
        """Measure the recall; raise NotWithEngine for a rebuild."""
        if rebuild:
            raise NotWithEngine(
                self.definition.engine,
                "needs no rebuilding: Weaviate does that by itself",
            )

        def run() -> None:
            count = self._items.count(None)
            progress(0, count)
            self._recall.record(*self._measure())
            progress(count, count)

        return self._threads.background.submit(run)

    def close(self) -> None:
        """Commit queued writes."""
        self._commits.close(IndexNotFound(self.definition.name))

    def close_rows(self) -> None:
        """Write down which rows were given out."""
        self._rows.close()

    def item_count(self) -> int:
        """Return the number of items."""
        return self._items.count(None)

    def _measure(self) -> tuple[float, int]:
        """Return the recall of searches for the neighbours of items spread over the index, and their number."""
        wanted = sample_size()
        step = max(1, self._rows.last // wanted)
        found = map(self._items.first_id, range(0, self._rows.last, step))
        chosen = list(dict.fromkeys(item_id for item_id in found if item_id is not None))[:wanted]
        return recall_of(lambda some, k, recall: self.search(some, k, None, attributes=False, recall=recall), chosen)


def _stacked(items: Sequence[StoredItem]) -> Vectors:
    return np.stack([_vector(item) for item in items])


def _vector(item: StoredItem) -> Vectors:
    if item.vector is None:
        raise StoreDamaged(Path(item.id), "the item has no vector")
    return item.vector


def _to_row(item: StoredItem) -> StoredRow:
    return StoredRow(item.row, item.sequence, item.id, item.attributes or "{}", _vector(item).astype("<f4").tobytes())


def _place(item: StoredItem, path: AttributePath) -> Place:
    found = values_at(path, from_json(item.attributes or "{}"))
    return Place(to_json(found[0]) if found else None, item.row)


def _key(place: Place) -> tuple[bool, str, int]:
    return place.value is not None, place.value or "", place.row
