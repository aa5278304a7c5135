"""Searching a snapshot: each part proposes neighbours, and one ranking decides.

The neighbours of a query have a total order: by distance, then by row number, so that of equals the older is first. A
page of a search starts after a position in this order, not at an offset. A row never changes its number or its vector,
and its distance is the same to the last bit whatever else is searched (`vectors.distances`). So added or removed rows
move no position, and a position stays valid even if its row is deleted.

A search among filtered rows compares all of them and is never short; an engine's own search may be approximate. To
search after a position, twice as many neighbours are requested of the engine until enough are after it. Deeper than
`_MAX_DEPTH`, all rows are compared instead, which costs the same at any depth. So a page is never short. A row that an
approximate search missed does not appear on later pages once a page has passed its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from index_service.engines.exact import ExactSearcher
from index_service.local.snapshot import Part, Rows, Snapshot
from index_service.results import Position
from index_service.vectors import Mask, Positions, Vectors, distances, nearest_after

# Also the most neighbours that one call may request.
_MAX_DEPTH = 10_000

_Found: TypeAlias = tuple[Rows, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Hits:
    """The neighbours of one query, nearest first: rows (n,) int64, distances (n,) float32."""

    rows: Rows
    distances: NDArray[np.float32]


def search(
    snapshot: Snapshot,
    queries: Vectors,
    k: int,
    excluded: Sequence[int | None],
    after: Sequence[Position | None],
    among: Rows | None,
    recall: float,
) -> tuple[list[Hits], bool]:
    """Find the `k` nearest rows of each query; return them and whether all rows were compared.

    A result has fewer than `k` rows only if fewer are eligible.

    Args:
        snapshot: what to search.
        queries: float32 (m, dimension) of length 1.
        k: the number of neighbours of each query.
        excluded: for each query, a row to leave out.
        after: for each query, the position to start after; None is the beginning.
        among: the only rows to search; None means all.
        recall: share of the true neighbours to aim at; 1 compares all rows with any engine.
    """
    wanted = k if all(row is None for row in excluded) else k + 1
    from_start = [number for number, position in enumerate(after) if position is None]
    start_queries = queries if len(from_start) == len(queries) else queries[from_start]
    compared_all = True
    found: list[list[_Found]] = [[(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))] for _ in queries]
    for part in snapshot.parts:
        eligible = part.alive if among is None else part.alive & part.mask(among)
        if not eligible.any():
            continue
        if from_start:
            searcher = part.searcher if among is None else ExactSearcher(part.vectors)
            nearest = searcher.nearest(start_queries, wanted, eligible, recall)
            compared_all = compared_all and nearest.compared_all
            for number, positions in zip(from_start, nearest.positions, strict=True):
                found[number].append((part.rows[positions], distances(queries[number], part.vectors[positions])))
        exact = among is not None or recall >= 1
        for number, position in enumerate(after):
            if position is not None:
                later, compared = _nearest_after(part, queries[number], wanted, position, eligible, exact, recall)
                found[number].append(later)
                compared_all = compared_all and compared
    return [_ranked(each, k, left_out) for each, left_out in zip(found, excluded, strict=True)], compared_all


def _nearest_after(
    part: Part, query: Vectors, k: int, after: Position, eligible: Mask, exact: bool, recall: float
) -> tuple[_Found, bool]:
    """Find at least the `k` nearest rows after a position; return them and whether all rows were compared."""
    depth = after.rank + k
    while not exact and depth <= _MAX_DEPTH:
        answer = part.searcher.nearest(query[None, :], depth, eligible, recall)
        found = _after_position(part, answer.positions[0], query, after)
        if len(found[0]) >= k or depth >= len(eligible):
            return found, answer.compared_all
        depth *= 2
    return _after_position(part, nearest_after(query, after.distance, k, part.vectors, eligible), query, after), True


def _after_position(part: Part, positions: Positions, query: Vectors, after: Position) -> _Found:
    """Return the rows at `positions` that are after `after`: row numbers (n,) and distances (n,)."""
    rows, found = part.rows[positions], distances(query, part.vectors[positions])
    distance = np.float32(after.distance)
    later = (found > distance) | ((found == distance) & (rows > after.row))
    return rows[later], found[later]


def _ranked(found: Sequence[_Found], k: int, left_out: int | None) -> Hits:
    """Return the first `k` of the rows found, excluding `left_out`."""
    rows, lengths = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.lexsort((rows, lengths))
    if left_out is not None:
        order = order[rows[order] != left_out]
    order = order[:k]
    return Hits(rows[order], lengths[order])
