"""Searching a snapshot: each part proposes, one ranking decides.

Neighbours are ordered by distance, then by row number: of equals, the older first. A search among chosen rows (a
filter) compares all of these and is therefore never short; an engine's own search may be approximate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index_service.engines.exact import ExactSearcher
from index_service.snapshot import Rows, Snapshot
from index_service.vectors import Vectors, distances


@dataclass(frozen=True, eq=False)
class Hits:
    """The neighbours of one query, nearest first: rows (n,) int64, distances (n,) float32."""

    rows: Rows
    distances: NDArray[np.float32]


def search(
    snapshot: Snapshot, queries: Vectors, k: int, without: Sequence[int | None], among: Rows | None, recall: float
) -> tuple[list[Hits], bool]:
    """Finds the `k` nearest rows of each query, fewer only where fewer count; tells whether all were compared.

    Args:
        snapshot: what to search.
        queries: float32 (m, dimension) of length 1.
        k: how many each query wants.
        without: for each query, a row to leave out.
        among: the only rows that count; None means all.
        recall: share of the true neighbours to aim at; 1 compares all, whatever the engine.
    """
    wanted = k if all(row is None for row in without) else k + 1
    compared_all = True
    rows: list[list[Rows]] = [[np.empty(0, dtype=np.int64)] for _ in queries]
    found: list[list[NDArray[np.float32]]] = [[np.empty(0, dtype=np.float32)] for _ in queries]
    for part in snapshot.parts:
        counting = part.alive if among is None else part.alive & part.mask(among)
        if not counting.any():
            continue
        searcher = part.searcher if among is None else ExactSearcher(part.vectors)
        part_found = searcher.nearest(queries, wanted, counting, recall)
        compared_all = compared_all and part_found.compared_all
        for number, positions in enumerate(part_found.positions):
            rows[number].append(part.rows[positions])
            found[number].append(distances(queries[number], part.vectors[positions]))
    return [
        ranked(np.concatenate(rows[number]), np.concatenate(found[number]), k, without[number])
        for number in range(len(queries))
    ], compared_all


def ranked(rows: Rows, found: NDArray[np.float32], k: int, left_out: int | None) -> Hits:
    """Returns the `k` first of rows (n,) at distances (n,), without one."""
    order = np.lexsort((rows, found))
    if left_out is not None:
        order = order[rows[order] != left_out]
    order = order[:k]
    return Hits(rows[order], found[order])
