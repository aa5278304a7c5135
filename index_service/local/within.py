"""The rows within distances of a vector, counted or listed: exact whatever the engine, because all rows are compared.

A row is within a distance exactly if a search returns it at that distance or nearer. The work is cut into chunks, so
that a call whose caller has left ends after the current one, and so that products need little memory.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from index_service.local.snapshot import Rows, Snapshot
from index_service.vectors import GATHER_SHARE, Positions, Vectors, first_bounds

_CHUNK = 65_536  # 15 ms with 300 numbers a row


def count_within(
    snapshot: Snapshot, query: Vectors, bounds: Sequence[float], among: Rows | None, left_out: Rows
) -> Generator[NDArray[np.int64], None, None]:
    """Yield after each chunk how many rows so far are within each of the distances `bounds` (m,).

    Args:
        snapshot: what to count.
        query: float32 (dimension,) of length 1.
        bounds: distances, ascending.
        among: the only rows to count; None means all.
        left_out: rows that are not counted.
    """
    counts = np.zeros(len(bounds) + 1, dtype=np.int64)
    yield counts[:-1]
    for rows, first in _compared(snapshot, query, bounds, among):
        counted = first[~np.isin(rows, left_out)] if len(left_out) else first
        counts += np.bincount(counted, minlength=len(counts))
        yield np.cumsum(counts[:-1])


def rows_within(snapshot: Snapshot, query: Vectors, distance: float, among: Rows | None) -> Generator[Rows, None, None]:
    """Yield, chunk by chunk, the rows within a distance."""
    for rows, first in _compared(snapshot, query, [distance], among):
        yield rows[first == 0]


def _compared(
    snapshot: Snapshot, query: Vectors, bounds: Sequence[float], among: Rows | None
) -> Iterator[tuple[Rows, Positions]]:
    """Yield eligible rows and, for each, the position of the first of the `bounds` that it is within."""
    limits = np.asarray(bounds, dtype=np.float32)
    for part in snapshot.parts:
        eligible = part.alive if among is None else part.alive & part.mask(among)
        for start in range(0, len(part.rows), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            chosen = np.flatnonzero(eligible[chunk])
            rows, vectors = part.rows[chunk], part.vectors[chunk]
            if len(chosen) < GATHER_SHARE * len(rows):
                yield rows[chosen], first_bounds(query, vectors[chosen], limits)
            else:
                yield rows[chosen], first_bounds(query, vectors, limits)[chosen]
