"""Which classes are taken for which: counts of images by their label and the label that they are nearest to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Confusion", "count_confusions", "most_confused_pairs"]


@dataclass(frozen=True)
class Confusion:
    """``counts`` (classes, classes) int64: of the images of a row's class, how many are nearest to a column's.

    ``images`` (classes) int64: how many a class has, those that are nearest to a class left out here among them.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    images: NDArray[np.int64]

    @property
    def wrong(self) -> NDArray[np.int64]:
        """The counts of images that are nearest to another class than theirs, (classes, classes)."""
        return self.counts - np.diag(np.diag(self.counts))

    def of_most_confused(self, most: int) -> Confusion:
        """At most so many classes, in their order: those of the pairs confused most, then those with most images.

        A class that no image has or is taken for is left out.
        """
        seen = self.counts.sum(axis=0) + self.counts.sum(axis=1)
        pairs = np.argwhere(self.wrong)
        pairs = pairs[np.argsort(-self.wrong[tuple(pairs.T)], kind="stable")]
        ranked = dict.fromkeys([*pairs.ravel().tolist(), *np.argsort(-seen, kind="stable").tolist()])
        kept = sorted([number for number in ranked if seen[number]][:most])
        return Confusion(
            tuple(self.names[number] for number in kept), self.counts[np.ix_(kept, kept)], self.images[kept]
        )


def count_confusions(labels: NDArray[np.integer], nearest: NDArray[np.int64], names: Sequence[str]) -> Confusion:
    """Count images (n, most), padded with -1, and the label each is nearest to (n,).

    An image that is nearest to any of its labels counts as right, there; another one under its first.
    """
    right = np.any(labels == nearest[:, None], axis=1)
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (np.where(right, nearest, labels[:, 0]), nearest), 1)
    return Confusion(tuple(names), counts, counts.sum(axis=1))


def most_confused_pairs(confusion: Confusion, most: int) -> list[tuple[str, str, int, int]]:
    """Class, what it is taken for, how many images, of how many of the class; the most images first."""
    wrong = confusion.wrong
    pairs = np.argsort(-wrong, axis=None, kind="stable")[:most]
    rows, columns = np.unravel_index(pairs, wrong.shape)
    return [
        (confusion.names[row], confusion.names[column], int(wrong[row, column]), int(confusion.images[row]))
        for row, column in zip(rows, columns, strict=True)
        if wrong[row, column]
    ]
