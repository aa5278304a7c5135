"""Reading an index's objects: by id, and all of them in the order of their rows or sequences.

Weaviate answers from one replica. What it finds there is compared with the other replicas at the consistency level; an
object that this replica lacks is not found. Objects that are asked for by id are therefore asked for again, one by one,
at the consistency level, if the replicas may differ.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any, Literal, TypeAlias

from weaviate.classes.query import Filter as Query
from weaviate.classes.query import Sort
from weaviate.collections.classes.filters import _Filters

from index_service.attributes import from_json
from index_service.definition import IndexDefinition
from index_service.filters import Condition
from index_service.items import StoredItem
from index_service.matching import passes
from index_service.weaviate.cluster import Cluster, Objects
from index_service.weaviate.collections import object_id, to_vector
from index_service.weaviate.conditions import Cover, cover

Order: TypeAlias = Literal["row", "sequence"]
# With the largest attributes and vectors, 80 MB: Weaviate's messages have at most 100.
PAGE = 1_000


class Items:
    """Reads the items of an index."""

    def __init__(self, cluster: Cluster, definition: IndexDefinition) -> None:
        self._cluster = cluster
        self._definition = definition
        options = cluster.options
        self._replicas_may_differ = options.replication_factor > 1 and options.consistency != "ALL"

    def by_id(self, ids: Sequence[str], *, vectors: bool, attributes: bool = True) -> dict[str, StoredItem]:
        """Return the items that exist among `ids`, by id, with every acknowledged write."""
        found = self._by_id(ids, vectors=vectors, attributes=attributes)
        if self._replicas_may_differ:
            missing = [item_id for item_id in dict.fromkeys(ids) if item_id not in found]
            # Asking for an object by itself also repairs the replica that lacks it.
            if lagging := [item_id for item_id in missing if self._exists(item_id)]:
                found |= self._by_id(lagging, vectors=vectors, attributes=attributes)
        return found

    def scan(
        self, condition: Condition | None, after: int, *, order: Order = "sequence", vectors: bool
    ) -> Generator[list[StoredItem], None, None]:
        """Yield blocks of the items that pass and whose number is greater than `after`, in ascending order."""
        wanted = cover(condition)
        number = Query.by_property(order)
        lower = after
        while True:
            # In an empty window, and at first: perhaps all the rest is little enough.
            rest = self._fetch(_both(wanted.query, number.greater_than(lower)), PAGE, vectors=vectors)
            if len(rest) < PAGE:
                yield self._passing(rest, wanted, condition, order)
                return
            lower = self._next(wanted, order, lower) - 1
            found = rest
            while found:
                window = number.greater_than(lower) & number.less_or_equal(lower + PAGE)
                found = self._fetch(_both(wanted.query, window), PAGE, vectors=vectors)
                yield self._passing(found, wanted, condition, order)
                lower += PAGE

    def count(self, condition: Condition | None) -> int:
        """Return the number of items that pass."""
        wanted = cover(condition)
        if not wanted.exact:
            return sum(len(block) for block in self.scan(condition, 0, vectors=False))
        query = wanted.query

        def ask(objects: Objects) -> int:
            return objects.aggregate.over_all(filters=query, total_count=True).total_count or 0

        return self._cluster.on(self._definition.name, ask)

    def last_row(self) -> int:
        """Return the highest row; 0 if there is none."""

        def ask(objects: Objects) -> int:
            found = objects.query.fetch_objects(
                limit=1, sort=Sort.by_property("row", ascending=False), return_properties=["row"]
            ).objects
            return int(found[0].properties["row"]) if found else 0

        return self._cluster.on(self._definition.name, ask)

    def first_id(self, after: int) -> str | None:
        """Return the id of the first item whose sequence is greater than `after`; None if there is none."""
        found = self._first(None, "sequence", after, "item")
        return None if found is None else str(found)

    def _next(self, wanted: Cover, order: Order, after: int) -> int:
        found = self._first(wanted.query, order, after, order)
        return after + 1 if found is None else int(found)

    def _first(self, query: _Filters | None, order: Order, after: int, name: str) -> Any:
        """Return a property of the first object in an order behind a number; None if there is none."""
        behind = _both(query, Query.by_property(order).greater_than(after))

        def ask(objects: Objects) -> Any:
            found = objects.query.fetch_objects(
                filters=behind, limit=1, sort=Sort.by_property(order), return_properties=[name]
            ).objects
            return found[0].properties[name] if found else None

        return self._cluster.on(self._definition.name, ask)

    def _passing(
        self, found: Sequence[StoredItem], wanted: Cover, condition: Condition | None, order: Order
    ) -> list[StoredItem]:
        chosen = (
            found if wanted.exact or condition is None else [each for each in found if item_passes(condition, each)]
        )
        return sorted(chosen, key=lambda item: item.row if order == "row" else item.sequence)

    def _by_id(self, ids: Sequence[str], *, vectors: bool, attributes: bool) -> dict[str, StoredItem]:
        found: dict[str, StoredItem] = {}
        for some in _parts(ids):
            query = Query.by_id().contains_any([object_id(item_id) for item_id in some])
            items = self._fetch(query, len(some), vectors=vectors, attributes=attributes)
            found |= {item.id: item for item in items}
        return found

    def _exists(self, item_id: str) -> bool:
        return self._cluster.on(self._definition.name, lambda objects: objects.data.exists(object_id(item_id)))

    def _fetch(self, query: _Filters, limit: int, *, vectors: bool, attributes: bool = True) -> list[StoredItem]:
        properties = ["item", "row", "sequence", *(["attributes"] if attributes else [])]

        def ask(objects: Objects) -> list[StoredItem]:
            found = objects.query.fetch_objects(
                filters=query, limit=limit, include_vector=vectors, return_properties=properties
            ).objects
            return [to_item(each, self._definition) for each in found]

        return self._cluster.on(self._definition.name, ask)


def to_item(found: Any, definition: IndexDefinition) -> StoredItem:
    """Return an object as an item, with what was read of it."""
    properties = found.properties
    numbers = found.vector.get("default") if found.vector else None
    return StoredItem(
        int(properties["row"]),
        int(properties["sequence"]),
        properties["item"],
        properties.get("attributes"),
        None if numbers is None else to_vector(numbers, definition),
    )


def item_passes(condition: Condition, item: StoredItem) -> bool:
    """Return whether an item's attributes pass a condition."""
    return passes(condition, from_json(item.attributes or "{}"))


def _both(first: _Filters | None, second: _Filters) -> _Filters:
    return second if first is None else Query.all_of([first, second])


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    unique = list(dict.fromkeys(ids))
    for start in range(0, len(unique), PAGE):
        yield unique[start : start + PAGE]
