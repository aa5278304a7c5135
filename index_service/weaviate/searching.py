"""Searches: Weaviate proposes objects, and their vectors decide the distances and the order.

Weaviate cannot begin a search behind a position, so a page asks for all neighbours up to its end and drops those before
its position: deep pages cost more, and there is a greatest depth. A search that must compare all items asks for ranges
of rows, each so narrow that Weaviate compares all objects in it. Where that is as fast, every search does so.

Weaviate 1.35 gives objects the distances of others if an object is deleted while a search runs: it appends the results
of each shard to one list of objects and one of distances, and a missing object shifts the rest. It then leaves out the
wrong ones, perhaps the nearest. So an answer whose distances are not those of its vectors is asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import structlog
from weaviate.classes.query import Filter as Query
from weaviate.classes.query import MetadataQuery
from weaviate.collections.classes.filters import _Filters

from index_service.definition import IndexDefinition
from index_service.errors import TooDeep
from index_service.filters import Condition
from index_service.items import StoredItem
from index_service.results import Neighbor, Position
from index_service.vectors import Vectors, distances
from index_service.weaviate.cluster import Cluster, Objects
from index_service.weaviate.collections import FLAT_SEARCH_ITEMS
from index_service.weaviate.conditions import Cover, cover
from index_service.weaviate.reading import PAGE, Items, item_passes, to_item

# Weaviate's own limit of a query (QUERY_MAXIMUM_RESULTS).
_MAX_RESULTS = 10_000
_MAX_VECTOR_BYTES = 64 * 2**20
# More than asked for, because Weaviate orders by rounded distances and does not know our order of equals.
_SURPLUS = 16
# Comparing 10,000 vectors of 300 numbers takes as long as a search in the graph (p50 54 to 60 and 57 to 75 ms on a busy
# machine). The graph of a few items that come and go also misses some of the nearest now and then.
_COMPARED_ROWS = 10_000
# One answer in some 1,000 does not fit while items are deleted at ten a second.
_TRIES = 5
_DISTANCE_TOLERANCE = 1e-4

# A distance, and the item at it.
Measured: TypeAlias = tuple[float, StoredItem]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Search:
    """One query of a search; see `contract.Index.search`."""

    vector: Vectors
    k: int
    condition: Condition | None
    after: Position | None
    without_row: int | None
    attributes: bool
    compare_all: bool


class Searcher:
    """Searches an index."""

    def __init__(self, cluster: Cluster, definition: IndexDefinition, items: Items) -> None:
        self._cluster = cluster
        self._definition = definition
        self._items = items
        self.max_depth = min(_MAX_RESULTS, _MAX_VECTOR_BYTES // (4 * definition.dimension))

    def search(self, what: Search, last_row: int) -> tuple[list[Neighbor], bool]:
        """Return the neighbours of a query and whether all items were compared.

        Raises:
            TooDeep: the page ends deeper than Weaviate searches.
        """
        wanted = cover(what.condition)
        depth = what.k + (what.after.rank if what.after else 0) + (what.without_row is not None)
        if depth > self.max_depth:
            raise TooDeep(depth, self.max_depth)
        compare_all = what.compare_all or last_row <= _COMPARED_ROWS
        while True:
            limit = min(depth + _SURPLUS, self.max_depth)
            spans = self._spans(wanted, last_row) if compare_all else [wanted]
            parts = [self._near(what, span, limit) for span in spans]
            found = [each for part in parts for each in part]
            neighbors = self._ranked(found, what, wanted)
            if len(neighbors) >= what.k:
                break
            if any(
                len(part) >= limit for part in parts
            ):  # items that do not pass, or that lie before the position, took the places
                if limit == self.max_depth:
                    raise TooDeep(depth, self.max_depth)
                depth *= 2
            elif compare_all or len(found) >= self._count(wanted):
                break
            else:
                compare_all = True  # the graph did not lead to all that there are
        return self._with_attributes(neighbors[: what.k], what), compare_all

    def _spans(self, wanted: Cover, last_row: int) -> list[Cover]:
        """Return ranges of rows that cover all, each so narrow that all objects in it are compared."""
        row = Query.by_property("row")
        step = FLAT_SEARCH_ITEMS - 1
        return [
            _and(wanted, row.greater_than(first) & row.less_or_equal(first + step))
            for first in range(0, last_row, step)
        ]

    def _near(self, what: Search, wanted: Cover, limit: int) -> list[Measured]:
        needs_attributes = not wanted.exact or (what.attributes and limit <= PAGE)
        properties = ["item", "row", "sequence", *(["attributes"] if needs_attributes else [])]

        def ask(objects: Objects) -> list[Measured]:
            found = objects.query.near_vector(
                what.vector.tolist(),
                limit=limit,
                filters=wanted.query,
                include_vector=True,
                return_properties=properties,
                return_metadata=MetadataQuery(distance=True),
            ).objects
            return [(each.metadata.distance or 0.0, to_item(each, self._definition)) for each in found if each.vector]

        found: dict[str, Measured] = {}
        for _ in range(_TRIES):
            told = self._cluster.on(self._definition.name, ask)
            if not told:
                return []
            cosine_distances, items = zip(*told, strict=True)
            lengths = distances(what.vector, np.stack([item.vector for item in items]))
            measured = list(zip(lengths.tolist(), items, strict=True))
            if np.allclose(lengths**2 / 2, cosine_distances, rtol=0, atol=_DISTANCE_TOLERANCE):
                return measured
            found |= {each[1].id: each for each in measured}
        # An object is missing for good. Each answer lacks others, by chance.
        log.warning("search answers do not fit their distances", index=self._definition.name)
        return list(found.values())

    def _count(self, wanted: Cover) -> int:
        def ask(objects: Objects) -> int:
            return objects.aggregate.over_all(filters=wanted.query, total_count=True).total_count or 0

        return self._cluster.on(self._definition.name, ask)

    def _ranked(self, found: Sequence[Measured], what: Search, wanted: Cover) -> list[Neighbor]:
        ranked = sorted(
            (each for each in found if each[1].row != what.without_row), key=lambda each: (each[0], each[1].row)
        )
        if not wanted.exact and what.condition is not None:
            ranked = [each for each in ranked if item_passes(what.condition, each[1])]
        if what.after is not None:
            position = (float(np.float32(what.after.distance)), what.after.row)
            ranked = [each for each in ranked if (each[0], each[1].row) > position]
        return [Neighbor(item.id, distance, item.row, item.attributes, item.vector) for distance, item in ranked]

    def _with_attributes(self, neighbors: Sequence[Neighbor], what: Search) -> list[Neighbor]:
        """Read attributes that were not read with the vectors."""
        missing = [each.id for each in neighbors if each.attributes is None] if what.attributes else []
        read = self._items.by_id(missing, vectors=False) if missing else {}
        return [
            each
            if each.id not in read
            else Neighbor(each.id, each.distance, each.row, read[each.id].attributes, each.vector)
            for each in neighbors
        ]


def _and(wanted: Cover, query: _Filters) -> Cover:
    return Cover(query if wanted.query is None else Query.all_of([wanted.query, query]), wanted.exact)
