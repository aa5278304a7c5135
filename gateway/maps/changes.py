"""Bring a map up to date with its collection: place images that were added, and remove those that were deleted.

An index lists its items in the order in which they were added, so the new ones follow the map's cursor: the token of
the last page that was read. If the map then has more images than the index, some were deleted, and all ids are read to
find out which. An image whose bytes were replaced keeps its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.backends.embedding import Vector
from gateway.backends.vector_index import IndexInfo, VectorIndex
from gateway.maps.map_files import MapHeader, StoredMap

_PAGE = 1_000
_NEIGHBORS = 15
# The nearest of its neighbours that are on the map; the median of their places is an image's own.
_BESIDE = 5
_MOST_CHANGED = 0.2


@dataclass(frozen=True)
class Changes:
    """What changed in an index since a map was last brought up to date."""

    added: Sequence[tuple[str, Vector]]
    deleted_count: int
    cursor: str


def is_up_to_date(header: MapHeader) -> bool:
    """Return whether a map is final and few of its images changed since it was computed."""
    changed = header.added_count + header.deleted_count
    return header.final and changed <= _MOST_CHANGED * header.computed_count


async def changes_since(index: VectorIndex, info: IndexInfo, stored: StoredMap) -> Changes:
    """Return what changed in an index since a map was last brought up to date."""
    known = set(stored.ids)
    added: list[tuple[str, Vector]] = []
    cursor = following = stored.header.cursor
    while True:
        items, following = await index.list_items(info.name, page_size=_PAGE, page_token=cursor, vectors=True)
        added += [(each.id, each.vector) for each in items if each.vector is not None and each.id not in known]
        if not following:
            return Changes(added, max(0, len(known) + len(added) - info.item_count), cursor)
        cursor = following


async def brought_up_to_date(index: VectorIndex, info: IndexInfo, stored: StoredMap) -> StoredMap:
    """Return a map with all images of its index; the same one if nothing changed."""
    changes = await changes_since(index, info, stored)
    if changes.deleted_count:
        stored = _without_deleted(stored, await _all_ids(index, info.name))
    if changes.added:
        stored = await _with_added(index, info, stored, changes)
    return stored


def counted(header: MapHeader, changes: Changes) -> MapHeader:
    """Return a header that counts changes as if the map had been brought up to date."""
    return replace(
        header,
        added_count=header.added_count + len(changes.added),
        deleted_count=header.deleted_count + changes.deleted_count,
    )


def _without_deleted(stored: StoredMap, existing: set[str]) -> StoredMap:
    kept = [row for row, image_id in enumerate(stored.ids) if image_id in existing]
    gone = len(stored.ids) - len(kept)
    header = replace(stored.header, deleted_count=stored.header.deleted_count + gone)
    return StoredMap(header, [stored.ids[row] for row in kept], stored.places[kept])


async def _all_ids(index: VectorIndex, name: str) -> set[str]:
    ids: set[str] = set()
    token = ""
    while True:
        items, token = await index.list_items(name, page_size=_PAGE, page_token=token)
        ids.update(item.id for item in items)
        if not token:
            return ids


async def _with_added(index: VectorIndex, info: IndexInfo, stored: StoredMap, changes: Changes) -> StoredMap:
    row_of = {image_id: row for row, image_id in enumerate(stored.ids)}
    places = np.empty((len(changes.added), 2), np.float32)
    for start in range(0, len(changes.added), _PAGE):
        vectors = np.stack([vector for _, vector in changes.added[start : start + _PAGE]])
        found = await index.search_many(info.name, vectors, _NEIGHBORS, info.model_id)
        for number, (vector, ids) in enumerate(zip(vectors, found, strict=True), start):
            rows = [row_of[each] for each in ids if each in row_of][:_BESIDE]
            places[number] = np.median(stored.places[rows], axis=0) if rows else _middle(stored.header, vector)
    header = replace(stored.header, cursor=changes.cursor, added_count=stored.header.added_count + len(changes.added))
    ids = [*stored.ids, *(image_id for image_id, _ in changes.added)]
    return StoredMap(header, ids, np.concatenate([stored.places, places]))


def _middle(header: MapHeader, vector: Vector) -> tuple[float, float]:
    """Return the middle of the region with the most similar mean, for a vector whose neighbours are all new too."""
    if not header.regions:
        return 0.0, 0.0
    nearest = max(header.regions, key=lambda region: float(region.mean @ vector))
    return nearest.x, nearest.y
