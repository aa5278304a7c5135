"""Vectors of length one and the angular distance between them.

Arrays of vectors are float32 (n, dimension), C-contiguous, rows of length 1. Distance is √(2 − 2·cos), which for such
rows is the length of their difference: 0 for the same direction, 2 for the opposite, smaller = nearer.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
Positions: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]

MAX_DISTANCE = 2.0
# A product of this many float32 (64 MB) stays small beside the vectors it is made from.
_PRODUCT_CELLS = 16 * 2**20
# A component is rounded by at most 2⁻²⁴ of itself, so a length by no more.
_LENGTH_TOLERANCE = 1e-6
# To rank so many more costs less than to sift them.
_HARDLY_MORE = 16
# Above this share of rows, multiplying all of them beats gathering those that count.
_GATHER_SHARE = 0.25


# NumPy parses the header of a file with `ast`, which CPython 3.11 must not do on two threads at once (gh-106905).
_PARSING = threading.Lock()


class NoDirection(ValueError):
    """Row `row` has no direction, and why."""

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(f"row {row} {problem}")
        self.row = row
        self.problem = problem


def read_array(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    """Return the array of a .npy file, memory-mapped if asked for; raise OSError, ValueError where it is none."""
    with _PARSING:
        return np.load(path, mmap_mode="r").view(np.ndarray) if mapped else np.load(path)  # type: ignore[no-any-return]


def unit(vectors: NDArray[np.float32]) -> Vectors:
    """Return vectors (n, dimension) of any length at length 1, as new float32.

    Raises:
        NoDirection: a row has a NaN or an infinity, or is zero.
    """
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    for row in np.flatnonzero(~((lengths > 0) & np.isfinite(lengths)))[:1].tolist():
        zero = lengths[row] == 0
        raise NoDirection(row, "is all zero and has no direction." if zero else "has a NaN or an infinity.")
    shortened: Vectors = (wide / lengths[:, None]).astype(np.float32)
    return shortened


def not_of_length_1(vectors: Vectors) -> Positions:
    """Return the positions of the rows (n, dimension) that `unit` cannot have made; NaN and infinity included."""
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    return np.flatnonzero(~(np.abs(lengths - 1) <= _LENGTH_TOLERANCE))


def distances(query: Vectors, rows: Vectors) -> NDArray[np.float32]:
    """Return the distances (n,) of a query (dimension,) to rows (n, dimension).

    In float64, as the length of the difference: √(2 − 2·cos) from a float32 product would give up to 5e-4 for a vector
    and itself, and the last bits would depend on how many rows are multiplied together, so that engines would disagree.
    """
    difference = rows.astype(np.float64)
    difference -= query
    length = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    found: NDArray[np.float32] = np.minimum(length, MAX_DISTANCE).astype(np.float32)
    return found


def nearest(queries: Vectors, k: int, rows: Vectors, counting: Mask) -> list[Positions]:
    """Find, for each query (m, dimension), positions that contain the `k` nearest rows among those that count.

    All of them are found, with every tie at the k-th place; a few more may be returned, so the caller ranks them by
    `distances`. The order is that of the rows.
    """
    count = int(np.count_nonzero(counting))
    if count <= k:
        everything = np.flatnonzero(counting)
        return [everything] * len(queries)
    if count < _GATHER_SHARE * len(rows):
        positions = np.flatnonzero(counting)
        return [positions[found] for found in _largest_products(queries, k, rows[positions], None)]
    return _largest_products(queries, k, rows, None if count == len(rows) else ~counting)


def nearest_of(query: Vectors, k: int, rows: Vectors, positions: Positions) -> Positions:
    """Return those of `positions` that contain the `k` nearest of them, and perhaps a few more; all if they are fewer.

    Args:
        query: float32 (dimension,) of length 1.
        k: how many are wanted.
        rows: float32 (n, dimension).
        positions: int (m,).
    """
    if len(positions) <= k + _HARDLY_MORE:
        return positions
    chosen: Positions = positions[_leading(rows[positions] @ query, k, _margin(rows.shape[1]))]
    return chosen


def nearest_behind(query: Vectors, distance: float, k: int, rows: Vectors, counting: Mask) -> Positions:
    """Find positions that contain the `k` nearest of those rows that count and lie at a distance or beyond.

    All of them are found, with every tie at both ends; a few nearer ones and a few more may be returned, so the caller
    sifts and ranks them by `distances`. The order is that of the rows.

    Args:
        query: float32 (dimension,) of length 1.
        distance: as `distances` computed it for this query.
        k: how many are wanted.
        rows: float32 (n, dimension).
        counting: bool (n,).
    """
    count = int(np.count_nonzero(counting))
    if count < _GATHER_SHARE * len(rows):
        positions = np.flatnonzero(counting)
        everything = np.ones(count, dtype=np.bool_)
        return positions[nearest_behind(query, distance, k, rows[positions], everything)]
    products = rows @ query
    margin = _margin(rows.shape[1])
    cosine = np.float32(1 - distance * distance / 2)
    found = counting & (products <= cosine + margin)
    surely_behind = products[found & (products < cosine - margin)]
    if len(surely_behind) > k:
        kth = np.partition(surely_behind, len(surely_behind) - k)[len(surely_behind) - k]
        found &= products >= kth - margin
    return np.flatnonzero(found)


def _margin(dimension: int) -> np.float32:
    """Return by how much products in float32 may be off when two of them, or one and a distance, are compared."""
    # |computed − true product| ≤ dimension·ε for rows of length 1 (Higham, Accuracy and Stability, §3.1); twice,
    # because both of two may be off; and again for rows that are of length 1 only to within ε.
    return np.float32(4 * dimension * np.finfo(np.float32).eps)


def _largest_products(queries: Vectors, k: int, rows: Vectors, left_out: Mask | None) -> list[Positions]:
    margin = _margin(rows.shape[1])
    found: list[Positions] = []
    chunk = max(1, _PRODUCT_CELLS // len(rows))
    for start in range(0, len(queries), chunk):
        products = queries[start : start + chunk] @ rows.T
        if left_out is not None:
            products[:, left_out] = -np.inf
        found.extend(np.flatnonzero(_leading(row, k, margin)) for row in products)
    return found


def _leading(products: NDArray[np.float32], k: int, margin: np.float32) -> Mask:
    """Mark those of more than `k` products that contain the `k` largest, also where some are off by the margin."""
    kth = np.partition(products, len(products) - k)[len(products) - k]
    leading: Mask = products >= kth - margin
    return leading
