"""The weight of each row of the vocabulary in a mean of several words.

Smooth inverse frequency (Arora, Liang and Ma 2017) gives a word of probability p the weight a / (a + p), so that
frequent words count less. A bundle has no counts, but its words are sorted by frequency, and Zipf's law with
Mandelbrot's shift gives the probability from the rank.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# None: all rows have equal weight. Arora et al. use 10⁻⁴ to 10⁻³.
SIF_A: float | None = None
_SHIFT = 2.7


def row_weights(count: int) -> NDArray[np.float32]:
    """Return the weight of each row of a vocabulary: float32 (count,), positive."""
    return np.ones(count, np.float32) if SIF_A is None else sif_weights(count, SIF_A)


def sif_weights(count: int, a: float) -> NDArray[np.float32]:
    """Return a / (a + p) for each row, p ∝ 1 / (rank + 2.7), rank 0 the most frequent: float32 (count,), 0…1, rising.

    Raises:
        ValueError: `a` is not positive.
    """
    if not a > 0:
        raise ValueError(f"a must be positive; it is {a}.")
    frequency = 1.0 / (np.arange(count) + _SHIFT)
    return np.asarray(a / (a + frequency / frequency.sum()), np.float32)
