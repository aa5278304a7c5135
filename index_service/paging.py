"""Pages of a search: what comes first behind the last neighbour that was shown.

All neighbours of a query stand in one order (`search`), and a page begins at a position in it, not after a count. A row
never changes its number or its vector, and its distance is the same to the last bit whatever else is searched
(`vectors.distances`). So rows that come or go move no position, which outlives the very row that it was taken from.

An engine proposes the nearest rows, and those before the position are among them: it is asked for twice as many until
enough lie behind. Where that is deeper than `_DEEPEST`, all rows are compared instead, which costs the same at any
depth. So a page is never short. A row that an approximate search missed is missing for good once a page has
passed its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from index_service.search import Hits, ranked, search
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


def search_behind(
    snapshot: Snapshot,
    queries: Vectors,
    k: int,
    without: Sequence[int | None],
    after: Sequence[Position | None],
    among: Rows | None,
    recall: float,
) -> tuple[list[Hits], bool]:
    """Does what `search` does, for each query behind a position; None is the beginning."""
    if all(position is None for position in after):
        return search(snapshot, queries, k, without, among, recall)
    hits: list[Hits] = []
    compared_all = True
    for query, left_out, position in zip(queries, without, after, strict=True):
        if position is None:
            (found,), all_of_them = search(snapshot, query[None, :], k, [left_out], among, recall)
        else:
            found, all_of_them = _search_one(snapshot, query, k, left_out, position, among, recall)
        hits.append(found)
        compared_all = compared_all and all_of_them
    return hits, compared_all


def _search_one(
    snapshot: Snapshot,
    query: Vectors,
    k: int,
    left_out: int | None,
    after: Position,
    among: Rows | None,
    recall: float,
) -> tuple[Hits, bool]:
    wanted = k if left_out is None else k + 1
    compared_all = True
    found: list[_Found] = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))]
    for part in snapshot.parts:
        counting = part.alive if among is None else part.alive & part.mask(among)
        if not counting.any():
            continue
        exact = among is not None or recall >= 1
        proposed = None if exact else _proposed(part, query, wanted, after, counting, recall)
        if proposed is None:
            positions = nearest_behind(query, after.distance, wanted, part.vectors, counting)
            found.append(_behind(part, positions, query, after))
        else:
            found.append(proposed[0])
            compared_all = compared_all and proposed[1]
    rows, lengths = (np.concatenate(each) for each in zip(*found, strict=True))
    return ranked(rows, lengths, k, left_out), compared_all


def _proposed(
    part: Part, query: Vectors, k: int, after: Position, counting: Mask, recall: float
) -> tuple[_Found, bool] | None:
    """Returns what the engine finds behind a position and whether it compared all; None if those are not enough."""
    depth = after.rank + k
    while depth <= _DEEPEST:
        answer = part.searcher.nearest(query[None, :], depth, counting, recall)
        found = _behind(part, answer.positions[0], query, after)
        if len(found[0]) >= k or depth >= len(counting):
            return found, answer.compared_all
        depth *= 2
    return None


def _behind(part: Part, positions: Positions, query: Vectors, after: Position) -> _Found:
    """Returns those at `positions` that lie behind a position: rows (n,) and distances (n,)."""
    rows, found = part.rows[positions], distances(query, part.vectors[positions])
    distance = np.float32(after.distance)
    behind = (found > distance) | ((found == distance) & (rows > after.row))
    return rows[behind], found[behind]
