"""The true neighbours of queries, and the recall of searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Positions = NDArray[np.intp]

_CHUNK = 10_000
_MEMORY_CELLS = 10_000_000
# Float32 cosines computed in two ways differ by less; a row this close to the k-th counts as a tie.
_TIE = 1e-5


@dataclass(frozen=True, eq=False)
class Questions:
    """Queries, float32 (m, dimension) of length 1; the positions (m, k) and cosines (m, k) of their nearest rows."""

    vectors: Vectors
    positions: Positions
    cosines: Vectors

    def save(self, folder: Path) -> None:
        """Write the questions into a new folder."""
        folder.mkdir()
        for name in ("vectors", "positions", "cosines"):
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Questions:
        """Read what `save` wrote."""
        return cls(*(np.load(folder / f"{name}.npy") for name in ("vectors", "positions", "cosines")))


def nearest_of_all(queries: Vectors, rows: Vectors, k: int) -> tuple[Positions, Vectors]:
    """Return positions (m, k) and cosines (m, k) of each query's nearest rows, nearest first, by comparing all rows."""
    positions = np.zeros((len(queries), k), dtype=np.intp)
    cosines = np.full((len(queries), k), -np.inf, dtype=np.float32)
    some = _MEMORY_CELLS // _CHUNK
    for begin in range(0, len(queries), some):
        those = slice(begin, begin + some)
        for start in range(0, len(rows), _CHUNK):
            products = queries[those] @ rows[start : start + _CHUNK].T
            here = _largest(products, min(k, products.shape[1]))
            candidates = np.hstack([cosines[those], np.take_along_axis(products, here, 1)])
            places = np.hstack([positions[those], here + start])
            best = _largest(candidates, k)
            cosines[those] = np.take_along_axis(candidates, best, 1)
            positions[those] = np.take_along_axis(places, best, 1)
    order = np.argsort(-cosines, axis=1, kind="stable")
    return np.take_along_axis(positions, order, 1), np.take_along_axis(cosines, order, 1)


def _largest(values: Vectors, k: int) -> Positions:
    """Return the positions of the `k` largest values of each row, unordered."""
    places: Positions = np.argpartition(values, -k, axis=1)[:, -k:]
    return places


def recall(found: Sequence[Positions], questions: Questions, rows: Vectors) -> float:
    """Return the share of the k nearest rows that was found, averaged over the questions, whose order `found` has.

    Of rows that tie with the k-th, any counts. No row counts twice, and none after the first k found.
    """
    wanted = questions.cosines.size
    k = questions.cosines.shape[1]
    hits = 0
    for query, kth, answer in zip(questions.vectors, questions.cosines[:, -1], found, strict=True):
        hits += int(np.count_nonzero(rows[np.unique(answer[:k])] @ query >= kth - _TIE))
    return hits / wanted
