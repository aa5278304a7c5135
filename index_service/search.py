"""Searching a snapshot: each part proposes, one ranking decides.

All neighbours of a query stand in one order: by distance, then by row number; of equals, the older first. A page of a
search begins at a position in it, not after a count. A row never changes its number or its vector, and its distance is
the same to the last bit whatever else is searched (`vectors.distances`). So rows that come or go move no position, and
a position outlives the very row that it was taken from.

A search among chosen rows (a filter) compares all of these and is therefore never short; an engine's own search may be
approximate. Behind a position, an engine is asked for twice as many until enough lie there. Where that is deeper than
`_DEEPEST`, all rows are compared instead, which costs the same at any depth. So a page is never short. A row that an
approximate search missed is missing for good once a page has passed its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from index_service.engines.exact import ExactSearcher
from index_service.snapshot import Part, Rows, Snapshot
from index_service.vectors import Mask, Positions, Vectors, distances, nearest_behind

# The most neighbours that one call may ask for, too.
_DEEPEST = 10_000

_Found: TypeAlias = tuple[Rows, NDArray[np.float32]]


@dataclass(frozen=True)
class Position:
    """The place of a neighbour: its distance, a float32, its row, and how many were shown with it (a hint)."""

    distance: float
    row: int
    rank: int


@dataclass(frozen=True, eq=False)
class Hits:
    """The neighbours of one query, nearest first: rows (n,) int64, distances (n,) float32."""

    rows: Rows
    distances: NDArray[np.float32]


def search(
    snapshot: Snapshot,
    queries: Vectors,
    k: int,
    without: Sequence[int | None],
    after: Sequence[Position | None],
    among: Rows | None,
    recall: float,
) -> tuple[list[Hits], bool]:
    """Find the `k` nearest rows of each query, fewer only where fewer count, and whether all were compared.

    Args:
        snapshot: what to search.
        queries: float32 (m, dimension) of length 1.
        k: how many each query wants.
        without: for each query, a row to leave out.
        after: for each query, the position that it begins behind; None is the beginning.
        among: the only rows that count; None means all.
        recall: share of the true neighbours to aim at; 1 compares all, whatever the engine.
    """
    wanted = k if all(row is None for row in without) else k + 1
    whole = [number for number, position in enumerate(after) if position is None]
    beginnings = queries if len(whole) == len(queries) else queries[whole]
    compared_all = True
    found: list[list[_Found]] = [[(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))] for _ in queries]
    for part in snapshot.parts:
        counting = part.alive if among is None else part.alive & part.mask(among)
        if not counting.any():
            continue
        if whole:
            searcher = part.searcher if among is None else ExactSearcher(part.vectors)
            nearest = searcher.nearest(beginnings, wanted, counting, recall)
            compared_all = compared_all and nearest.compared_all
            for number, positions in zip(whole, nearest.positions, strict=True):
                found[number].append((part.rows[positions], distances(queries[number], part.vectors[positions])))
        exact = among is not None or recall >= 1
        for number, position in enumerate(after):
            if position is not None:
                behind, compared = _nearest_behind(part, queries[number], wanted, position, counting, exact, recall)
                found[number].append(behind)
                compared_all = compared_all and compared
    return [_ranked(each, k, left_out) for each, left_out in zip(found, without, strict=True)], compared_all


def _nearest_behind(
    part: Part, query: Vectors, k: int, after: Position, counting: Mask, exact: bool, recall: float
) -> tuple[_Found, bool]:
    """Find at least the `k` nearest rows behind a position, and whether all were compared."""
    depth = after.rank + k
    while not exact and depth <= _DEEPEST:
        answer = part.searcher.nearest(query[None, :], depth, counting, recall)
        found = _behind(part, answer.positions[0], query, after)
        if len(found[0]) >= k or depth >= len(counting):
            return found, answer.compared_all
        depth *= 2
    return _behind(part, nearest_behind(query, after.distance, k, part.vectors, counting), query, after), True


def _behind(part: Part, positions: Positions, query: Vectors, after: Position) -> _Found:
    """Return those at `positions` that lie behind a position: rows (n,) and distances (n,)."""
    rows, found = part.rows[positions], distances(query, part.vectors[positions])
    distance = np.float32(after.distance)
    behind = (found > distance) | ((found == distance) & (rows > after.row))
    return rows[behind], found[behind]


def _ranked(found: Sequence[_Found], k: int, left_out: int | None) -> Hits:
    """Return the `k` first of the rows found, without one."""
    rows, lengths = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.lexsort((rows, lengths))
    if left_out is not None:
        order = order[rows[order] != left_out]
    order = order[:k]
    return Hits(rows[order], lengths[order])
