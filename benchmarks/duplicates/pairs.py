"""Precision and recall of the rule "same picture" over all pairs of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.duplicates.pictures import CUT, ORIGINAL

_ROWS = 256
_MOST_BITS = 64  # pairs of different pictures further apart are only counted


@dataclass(frozen=True)
class Rule:
    """Bounds of the rule, with their precision and recall, 0…1.

    Recall covers only pairs without a cropped copy: cropping makes another picture, which may be found or not.
    """

    most_bits: int
    least_cosine: float
    precision: float
    recall: float
    wrong_pairs: int


@dataclass(frozen=True)
class CopyKind:
    """The differences between copies of one kind and their originals."""

    kind: str
    bits_median: float
    bits_p99: float
    cosine_median: float
    cosine_p1: float
    found: float


class Pairs:
    """All pairs of pictures: the number of differing bits, the cosine, and whether they show the same picture."""

    def __init__(
        self, shows: Sequence[str], kinds: Sequence[str], hashes: NDArray[np.uint64], vectors: NDArray[np.float32]
    ) -> None:
        self._kinds = np.array(kinds)
        self._hashes, self._vectors = hashes, vectors
        _, self._shown = np.unique(shows, return_inverse=True)
        bits, cosines, same, whole = zip(*self._near(), strict=True)
        self._bits, self._cosines, self._same, self._whole = map(np.concatenate, (bits, cosines, same, whole))
        self.same_count = int((self._same & self._whole).sum())
        self.count = len(shows) * (len(shows) - 1) // 2

    def rule(self, most_bits: int, least_cosine: float) -> Rule:
        """Return the precision and recall of bounds; plain pictures never match."""
        found = (self._bits <= most_bits) & (self._cosines >= least_cosine)
        right, wrong = int((found & self._same).sum()), int((found & ~self._same).sum())
        recall = int((found & self._same & self._whole).sum()) / max(self.same_count, 1)
        return Rule(most_bits, least_cosine, right / max(right + wrong, 1), recall, wrong)

    def kinds(self, most_bits: int, least_cosine: float) -> Iterator[CopyKind]:
        """Yield the differences per kind of copy, and the share that the bounds find."""
        places = {shown: place for place, shown in enumerate(self._shown) if self._kinds[place] == ORIGINAL}
        for kind in dict.fromkeys(self._kinds.tolist()):
            copies = np.flatnonzero(self._kinds == kind)
            if kind == ORIGINAL:
                continue
            originals = np.array([places[shown] for shown in self._shown[copies]])
            bits = self._differing(self._hashes[copies], self._hashes[originals])
            cosines = np.einsum("ij,ij->i", self._vectors[copies], self._vectors[originals])
            yield CopyKind(
                kind,
                float(np.median(bits)),
                float(np.percentile(bits, 99)),
                float(np.median(cosines)),
                float(np.percentile(cosines, 1)),
                float(np.mean((bits <= most_bits) & (cosines >= least_cosine))),
            )

    def _near(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]]:
        count = len(self._shown)
        whole = self._kinds != CUT
        for start in range(0, count, _ROWS):
            rows = np.arange(start, min(start + _ROWS, count))[:, None]
            same = self._shown[rows] == self._shown
            bits = self._differing(self._hashes[rows], self._hashes)
            kept = (rows < np.arange(count)) & (same | (bits <= _MOST_BITS))
            cosines = self._vectors[rows[:, 0]] @ self._vectors.T
            yield bits[kept], cosines[kept], same[kept], (whole[rows] & whole)[kept]

    @staticmethod
    def _differing(ones: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the number of bits in which hashes differ; more than all bits if one hash is zero."""
        bits = np.bitwise_count(ones ^ others).sum(axis=-1, dtype=np.int64)
        return np.where(ones.any(axis=-1) & others.any(axis=-1), bits, 1_000)
