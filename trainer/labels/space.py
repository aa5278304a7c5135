"""Where in the joint space a picture of each class should land, and which words it should be found by.

Contract: all vectors are unit rows, float32; ``relevance`` is a distribution over concepts for each label (rows sum
to 1). A concept that belongs to no label (a column of zeros) is a word that no picture should be found by: without
such words in the loss, a few words at the centre of the vocabulary come out near to every picture (hubs, Radovanović
et al. 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.errors import TrainingSetUnusable

__all__ = ["LabelSpace", "unit_rows"]


@dataclass(frozen=True)
class LabelSpace:
    """The targets of training.

    ``names``: the classes, in the order of the numbers that label images.
    ``vectors``: (labels, dimension), where a picture of each class should land.
    ``concepts``: (concepts, dimension), words that people type; may be empty.
    ``relevance``: (labels, concepts), how much each word should find pictures of each class.
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    concepts: NDArray[np.float32]
    relevance: NDArray[np.float32]

    @classmethod
    def of_labels(cls, names: Sequence[str], vectors: NDArray[np.floating]) -> LabelSpace:
        """Targets that know the labels' own vectors and no further words."""
        unit = unit_rows(vectors)
        none = np.empty((0, unit.shape[1]), dtype=np.float32)
        return cls(tuple(names), unit, none, np.empty((len(names), 0), dtype=np.float32))

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return int(self.vectors.shape[1])


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """The rows scaled to length 1, float32.

    Raises:
        TrainingSetUnusable: a row is zero or not finite, so it has no direction.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths)) or np.any(lengths == 0):
        raise TrainingSetUnusable("A label's vector is zero or not finite, so no picture can be taught to land on it.")
    unit: NDArray[np.float32] = rows / lengths
    return unit
