"""Embedded images and the classes they show: the data of every measure.

Contract: an image shows one class or several, and each of them counts as right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trainer.labels.class_words import ClassWords


@dataclass(frozen=True)
class Truth:
    """Embedded images and the classes they show.

    `vectors`: (n, dimension) float32. `labels`: (n, most) int64, positions in `classes`, and -1 after the last
    label of an image that has fewer than the most, as `FeatureSet` has them.
    """

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[ClassWords, ...]

    @cached_property
    def shows(self) -> NDArray[np.bool_]:
        """Which classes each image shows: (n, classes)."""
        shows = np.zeros((len(self.labels), len(self.classes) + 1), dtype=np.bool_)
        np.put_along_axis(shows, self.labels, values=True, axis=1)  # -1 is the column that is dropped
        return shows[:, :-1]

    def of_classes(self, has: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which images show a class that has something: (n, things), of (classes, things)."""
        return _any_of(self.shows, has)

    def relevance(self, words: Sequence[str]) -> NDArray[np.bool_]:
        """Return which images each word should find: (words, n)."""
        of_class = np.array([[word in each.words for word in words] for each in self.classes], dtype=np.bool_)
        return self.of_classes(of_class).T

    def alike(self, images: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which images show a class that these show too: (images, n)."""
        return _any_of(self.shows[images], self.shows.T)

    def take(self, images: NDArray[np.bool_]) -> Truth:
        """Return some of the images, with the same classes."""
        return Truth(self.vectors[images], self.labels[images], self.classes)

    @property
    def shown(self) -> tuple[ClassWords, ...]:
        """The classes that at least one image shows."""
        return tuple(self.classes[number] for number in np.flatnonzero(self.shows.any(axis=0)))

    @property
    def label_words(self) -> tuple[str, ...]:
        """The label of every class shown, each once."""
        return tuple(dict.fromkeys(each.word for each in self.shown))

    @property
    def kind_words(self) -> tuple[str, ...]:
        """The kinds of the classes shown that are not themselves a label, each once."""
        labels = set(self.label_words)
        return tuple(dict.fromkeys(kind for each in self.shown for kind in each.kinds if kind not in labels))


def _any_of(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the product of boolean matrices: computed as float32 counts, which are exact and fast."""
    found: NDArray[np.bool_] = one.astype(np.float32) @ other.astype(np.float32) > 0
    return found
