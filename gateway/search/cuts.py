"""From a relevance to the distance at which a search cuts, exactly.

A search keeps a match if its relevance, computed from its distance, is high enough. The index counts and lists by
distance. So that both agree on every image, the cut is the greatest float32 distance whose relevance is high enough,
found by bisection; the inverse of the curve would be off by rounding.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gateway.backends.embedding import Logistic
from gateway.backends.vector_index import similarity_at

_NEAREST, _FARTHEST = (int(np.float32(distance).view(np.int32)) for distance in (0.0, 2.0))


@lru_cache(maxsize=4_096)
def farthest(curve: Logistic, min_relevance: float) -> float | None:
    """Return the greatest distance whose relevance is at least `min_relevance`; None if there is none.

    The curve must rise with similarity, as every calibration does.
    """
    if not _is_relevant(curve, _NEAREST, min_relevance):
        return None
    # The bits of floats that are not negative, read as integers, are in the same order as the floats.
    relevant, beyond = _NEAREST, _FARTHEST + 1
    while beyond - relevant > 1:
        middle = (relevant + beyond) // 2
        if _is_relevant(curve, middle, min_relevance):
            relevant = middle
        else:
            beyond = middle
    return _distance(relevant)


def _is_relevant(curve: Logistic, bits: int, min_relevance: float) -> bool:
    return curve.relevance(similarity_at(_distance(bits))) >= min_relevance


def _distance(bits: int) -> float:
    return float(np.int32(bits).view(np.float32))
