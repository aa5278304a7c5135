"""Lists in descending order of a text attribute, of all items or of those near a vector.

Greatest first; of equals the newest row first; items without the attribute last. A page starts after a place in this
order, so items that are added or deleted shift nothing. An item that gets another value or vector moves.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator
from itertools import islice

import numpy as np

from index_service.filters import Filter
from index_service.items import StoredItem
from index_service.local.reads import StoreReader
from index_service.local.snapshot import Rows, Snapshot
from index_service.local.within import rows_within
from index_service.results import Listed, Listing, Place
from index_service.vectors import Vectors, distances

# Up to this many near items are looked up and sorted. Among more, a scan of all items in order soon fills a page.
_LOOKED_UP = 5_000
# Items read before their size is known: at most 16 MiB.
_READ_AT_ONCE = 250


def descending(
    reader: StoreReader, snapshot: Snapshot, listing: Listing, *, vectors: bool
) -> Generator[list[Listed], None, None]:
    """Yield the items of a list in order, block by block; empty blocks while near ones are looked for."""
    places = reader.places(listing.path, listing.after, listing.condition)
    if listing.within is not None:
        among = reader.rows(listing.condition) if listing.condition != Filter() else None
        found: list[Rows] = []
        for rows in rows_within(snapshot, listing.within.vector, listing.within.distance, among):
            found.append(rows)
            yield []
        places = _near(reader, listing, np.sort(np.concatenate([np.empty(0, dtype=np.int64), *found])))
    chosen = list(islice(places, listing.limit))
    for start in range(0, len(chosen), _READ_AT_ONCE):
        yield _read(reader, listing, chosen[start : start + _READ_AT_ONCE], vectors=vectors)


def _near(reader: StoreReader, listing: Listing, rows: Rows) -> Iterator[Place]:
    """Yield the places of near rows, which are ascending, in order."""
    if len(rows) > _LOOKED_UP:
        first, last = int(rows[0]), int(rows[-1])
        marks = np.zeros(last - first + 1, dtype=np.bool_)
        marks[rows - first] = True
        near = marks.tobytes()  # indexing bytes is faster than a set, and takes 1 % of its memory
        places = reader.places(listing.path, listing.after, Filter())
        return (place for place in places if first <= place.row <= last and near[place.row - first])
    after = None if listing.after is None else _key(listing.after)
    places = (place for place in reader.places_of(listing.path, rows) if after is None or _key(place) < after)
    return iter(heapq.nlargest(listing.limit, places, key=_key))


def _key(place: Place) -> tuple[bool, str, int]:
    """Return what orders places: greatest first; SQLite compares texts by their UTF-8, as code points do."""
    return place.value is not None, place.value or "", place.row


def _read(reader: StoreReader, listing: Listing, places: list[Place], *, vectors: bool) -> list[Listed]:
    rows = np.array([place.row for place in places], dtype=np.int64)
    within = listing.within
    items = reader.items_of(rows, attributes=True, vectors=vectors or within is not None)
    near: list[float | None] = [None] * len(places)
    if within is not None:
        stacked = np.stack([_vector(items[place.row]) for place in places])
        near = [*distances(within.vector, stacked).tolist()]
    return [Listed(items[place.row], place, distance) for place, distance in zip(places, near, strict=True)]


def _vector(item: StoredItem) -> Vectors:
    assert item.vector is not None  # noqa: S101 — it was read
    return item.vector
