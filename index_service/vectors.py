"""Vectors of length 1 and the angular distance between them.

Arrays of vectors are float32 (n, dimension), C-contiguous, with rows of length 1. The distance is √(2 − 2·cos), which
for such rows is the length of their difference: 0 for the same direction, 2 for the opposite; smaller is nearer.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
Positions: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]

MAX_DISTANCE = 2.0
# A product of this many float32 (64 MB) is small compared with the vectors.
_PRODUCT_CELLS = 16 * 2**20
# The relative rounding error of a component, and so of a length, is at most 2⁻²⁴.
_LENGTH_TOLERANCE = 1e-6
# Ranking this many more costs less than selecting among them.
_RANKED_SURPLUS = 16
# Above this share of eligible rows, multiplying all rows is faster than gathering the eligible ones.
GATHER_SHARE = 0.25


# The headers that `numpy.save` writes for the arrays of an index. NumPy itself parses them with `ast`, which in CPython
# 3.11 neither allows threads (gh-106905) nor works again after some damaged headers.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(<f4|<i8)', 'fortran_order': (True|False), "
    rb"'shape': \((\d+),(?: (\d+))?\), \} *\n",
    re.DOTALL,
)
_HEADER_BYTES = 256


class NoDirection(ValueError):
    """Row `row` has no direction; `problem` says why."""

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(f"row {row} {problem}")
        self.row = row
        self.problem = problem


def read_array(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    """Return the array of a .npy file, float32 or int64, of one or two dimensions; memory-mapped if `mapped`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such an array.
    """
    with path.open("rb") as file:
        header = _HEADER.match(file.read(_HEADER_BYTES))
        if header is None:
            raise ValueError(f"{path.name} does not have the header of an array")
        descr, is_fortran, *sizes = header.groups()
        kind: np.dtype[Any] = np.dtype(descr.decode())
        order: Literal["F", "C"] = "F" if is_fortran == b"True" else "C"
        shape = tuple(int(size) for size in sizes if size is not None)
        count = math.prod(shape)
        if path.stat().st_size < header.end() + count * kind.itemsize:
            raise ValueError(f"{path.name} is shorter than its array")
        if mapped and count:
            return np.memmap(file, kind, "r", header.end(), shape, order).view(np.ndarray)
        file.seek(header.end())
        return np.frombuffer(file.read(), kind, count).reshape(shape, order=order)


def unit(vectors: NDArray[np.float32]) -> Vectors:
    """Return vectors (n, dimension) scaled to length 1, as a new float32 array.

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
    """Return the positions of the rows (n, dimension) that do not have length 1, including any with NaN or infinity."""
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    return np.flatnonzero(~(np.abs(lengths - 1) <= _LENGTH_TOLERANCE))


def distances(query: Vectors, rows: Vectors) -> NDArray[np.float32]:
    """Return the distances (n,) of a query (dimension,) to rows (n, dimension).

    Computed in float64 as the length of the difference. √(2 − 2·cos) from a float32 product would give up to 5e-4 for a
    vector and itself, and its last bits would depend on how many rows are multiplied at once: engines would disagree.
    """
    difference = rows.astype(np.float64)
    difference -= query
    length = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    found: NDArray[np.float32] = np.minimum(length, MAX_DISTANCE).astype(np.float32)
    return found


def nearest(queries: Vectors, k: int, rows: Vectors, eligible: Mask) -> list[Positions]:
    """Return, for each query (m, dimension), positions that include the `k` nearest eligible rows.

    Every tie at the k-th place is included, and a few more may be, so the caller must rank them by `distances`. The
    positions are in row order.
    """
    count = int(np.count_nonzero(eligible))
    if count <= k:
        everything = np.flatnonzero(eligible)
        return [everything] * len(queries)
    if count < GATHER_SHARE * len(rows):
        positions = np.flatnonzero(eligible)
        return [positions[found] for found in _largest_products(queries, k, rows[positions], None)]
    return _largest_products(queries, k, rows, None if count == len(rows) else ~eligible)


def nearest_of(query: Vectors, k: int, rows: Vectors, positions: Positions) -> Positions:
    """Return the `k` nearest of `positions` and perhaps a few more; all of them if there are fewer.

    Args:
        query: float32 (dimension,) of length 1.
        k: the number of neighbours.
        rows: float32 (n, dimension).
        positions: int (m,).
    """
    if len(positions) <= k + _RANKED_SURPLUS:
        return positions
    chosen: Positions = positions[_leading(rows[positions] @ query, k, _margin(rows.shape[1]))]
    return chosen


def nearest_after(query: Vectors, distance: float, k: int, rows: Vectors, eligible: Mask) -> Positions:
    """Return positions that include the `k` nearest of the eligible rows at `distance` or farther.

    Every tie at both ends is included; a few nearer and a few farther rows may be too, so the caller must filter and
    rank them by `distances`. The positions are in row order.

    Args:
        query: float32 (dimension,) of length 1.
        distance: a distance that `distances` computed for this query.
        k: the number of neighbours.
        rows: float32 (n, dimension).
        eligible: bool (n,): rows that may be found.
    """
    count = int(np.count_nonzero(eligible))
    if count < GATHER_SHARE * len(rows):
        positions = np.flatnonzero(eligible)
        everything = np.ones(count, dtype=np.bool_)
        return positions[nearest_after(query, distance, k, rows[positions], everything)]
    products = rows @ query
    margin = _margin(rows.shape[1])
    cosine = np.float32(1 - distance * distance / 2)
    found = eligible & (products <= cosine + margin)
    surely_after = products[found & (products < cosine - margin)]
    if len(surely_after) > k:
        kth = np.partition(surely_after, len(surely_after) - k)[len(surely_after) - k]
        found &= products >= kth - margin
    return np.flatnonzero(found)


def first_bounds(query: Vectors, rows: Vectors, bounds: NDArray[np.float32]) -> Positions:
    """Return for each row (n,) the position of the first bound that its distance does not exceed; m if there is none.

    A product decides unless rounding could change the result; then `distances` decides. So the answer is exactly that
    of `distances`, at a fraction of the cost: some 5 % of rows are close to one of 100 bounds.

    Args:
        query: float32 (dimension,) of length 1.
        rows: float32 (n, dimension).
        bounds: distances (m,), ascending.
    """
    cosines = (bounds.astype(np.float64) ** 2 / 2 - 1).astype(np.float32)  # negative, so that they ascend
    products = -(rows @ query)
    margin = _margin(rows.shape[1])
    found = np.searchsorted(cosines, products - margin)
    unsure = np.flatnonzero(found != np.searchsorted(cosines, products + margin))
    found[unsure] = np.searchsorted(bounds, distances(query, rows[unsure]))
    return found


def _margin(dimension: int) -> np.float32:
    """Return the greatest error of a comparison of two float32 products, or of a product and a distance."""
    # |computed − true product| ≤ dimension·ε for rows of length 1 (Higham, Accuracy and Stability, §3.1); doubled,
    # because both products may be off, and doubled again, because rows have length 1 only to within ε.
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
    """Mark the `k` largest of more than `k` products, and all others that may be among them within the margin."""
    kth = np.partition(products, len(products) - k)[len(products) - k]
    leading: Mask = products >= kth - margin
    return leading
