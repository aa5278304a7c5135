"""Bring a map up to date with its collection: place images that were added, and remove those that were deleted.

An index lists its items in the order in which they were added, so the new ones follow the map's cursor: the token of
the last page that was read. If the map then has more images than the index, some were deleted, and all ids are read to
find out which. An image whose bytes were replaced keeps its place.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gateway.backends.embedding import Vector
from gateway.backends.vector_index import IndexInfo, Item, VectorIndex
from gateway.maps.layouts import Places
from gateway.maps.map_files import MapHeader, StoredMap

_PAGE = 1_000
_NEIGHBORS = 15
# The nearest of its neighbours that are on the map; the median of their places is an image's own.
_BESIDE = 5
_MOST_CHANGED = 0.2


def is_up_to_date(header: MapHeader) -> bool:
    """Return whether a map is final and few of its images changed since it was computed."""
    changed = header.added_count + header.deleted_count
    return header.final and changed <= _MOST_CHANGED * header.computed_count


async def count_changes(index: VectorIndex, info: IndexInfo, stored: StoredMap) -> MapHeader:
    """Return a map's header as if the map had been brought up to date; reads ids only."""
    known = set(stored.ids)
    added = 0
    async with aclosing(_pages_from(stored.header.cursor, index, info.name, vectors=False)) as pages:
        async for items, _ in pages:
            added += sum(item.id not in known for item in items)
    return replace(
        stored.header,
        added_count=stored.header.added_count + added,
        deleted_count=stored.header.deleted_count + _deleted_count(stored, added, info),
    )


async def brought_up_to_date(index: VectorIndex, info: IndexInfo, stored: StoredMap) -> StoredMap:
    """Return a map with all images of its index; the same one if nothing changed."""
    row_of = {image_id: row for row, image_id in enumerate(stored.ids)}
    ids: list[str] = []
    places: list[Places] = []
    cursor = stored.header.cursor
    # Page by page: the vectors of all new images together may not fit into memory.
    async with aclosing(_pages_from(cursor, index, info.name, vectors=True)) as pages:
        async for items, cursor in pages:  # noqa: B007 — the last one becomes the map's
            new = [(item.id, item.vector) for item in items if item.vector is not None and item.id not in row_of]
            if new:
                ids += [image_id for image_id, _ in new]
                places.append(await _beside(index, info, stored, row_of, np.stack([vector for _, vector in new])))
    deleted_count = _deleted_count(stored, len(ids), info)
    if ids:
        header = replace(stored.header, cursor=cursor, added_count=stored.header.added_count + len(ids))
        stored = StoredMap(header, [*stored.ids, *ids], np.concatenate([stored.places, *places]))
    if deleted_count:
        stored = _without_deleted(stored, await _all_ids(index, info.name))
    return stored


def _deleted_count(stored: StoredMap, added: int, info: IndexInfo) -> int:
    return max(0, len(stored.ids) + added - info.item_count)


async def _pages_from(
    cursor: str, index: VectorIndex, name: str, *, vectors: bool
) -> AsyncGenerator[tuple[Sequence[Item], str], None]:
    """Yield the pages of an index from a cursor on, each with its own token."""
    while True:
        items, following = await index.list_items(name, page_size=_PAGE, page_token=cursor, vectors=vectors)
        yield items, cursor
        if not following:
            return
        cursor = following


def _without_deleted(stored: StoredMap, existing: set[str]) -> StoredMap:
    kept = [row for row, image_id in enumerate(stored.ids) if image_id in existing]
    gone = len(stored.ids) - len(kept)
    header = replace(stored.header, deleted_count=stored.header.deleted_count + gone)
    return StoredMap(header, [stored.ids[row] for row in kept], stored.places[kept])


async def _all_ids(index: VectorIndex, name: str) -> set[str]:
    async with aclosing(_pages_from("", index, name, vectors=False)) as pages:
        return {item.id async for items, _ in pages for item in items}


async def _beside(
    index: VectorIndex, info: IndexInfo, stored: StoredMap, row_of: Mapping[str, int], vectors: NDArray[np.float32]
) -> Places:
    """Return places for the vectors of new images, beside their nearest neighbours on the map."""
    places = np.empty((len(vectors), 2), np.float32)
    found = await index.search_many(info.name, vectors, _NEIGHBORS, info.model_id)
    for number, (vector, ids) in enumerate(zip(vectors, found, strict=True)):
        rows = [row_of[each] for each in ids if each in row_of][:_BESIDE]
        places[number] = np.median(stored.places[rows], axis=0) if rows else _middle(stored.header, vector)
    return places


def _middle(header: MapHeader, vector: Vector) -> tuple[float, float]:
    """Return the middle of the region with the most similar mean, for a vector whose neighbours are all new too."""
    if not header.regions:
        return 0.0, 0.0
    nearest = max(header.regions, key=lambda region: float(region.mean @ vector))
    return nearest.x, nearest.y
