"""Embedded images and what they show: what every measure is taken on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.labels.class_words import ClassWords

__all__ = ["Truth"]


@dataclass(frozen=True)
class Truth:
    """Embedded images and what they show: ``vectors`` (n, dimension) float32, ``labels`` (n) into ``classes``."""

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[ClassWords, ...]

    def relevance(self, words: Sequence[str]) -> NDArray[np.bool_]:
        """Which images each word should find: (words, n)."""
        of_class = np.array([[word in each.words for each in self.classes] for word in words], dtype=np.bool_)
        relevant: NDArray[np.bool_] = of_class[:, self.labels]
        return relevant

    def take(self, images: NDArray[np.bool_]) -> Truth:
        """Some of the images, of the same classes."""
        return Truth(self.vectors[images], self.labels[images], self.classes)

    @property
    def shown(self) -> tuple[ClassWords, ...]:
        """The classes that at least one image shows."""
        return tuple(self.classes[number] for number in np.unique(self.labels))

    @property
    def label_words(self) -> tuple[str, ...]:
        """The label of every class shown, each once."""
        return tuple(dict.fromkeys(each.word for each in self.shown))

    @property
    def kind_words(self) -> tuple[str, ...]:
        """The kinds of the classes shown that are not themselves a label, each once."""
        labels = set(self.label_words)
        return tuple(dict.fromkeys(kind for each in self.shown for kind in each.kinds if kind not in labels))
