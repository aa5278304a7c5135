"""How much each row of the vocabulary counts in a mean of several words: the one place that says so.

Smooth inverse frequency (Arora, Liang and Ma 2017) gives a word of probability p the weight a / (a + p), so that what
is said everywhere says less. A bundle has no counts, but its words come most frequent first, and by Zipf's law, with
Mandelbrot's shift, the place alone gives the probability.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIF_A", "row_weights", "sif_weights"]

# None: every row counts the same. Arora et al. use 10⁻⁴ to 10⁻³.
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
