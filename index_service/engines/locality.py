"""An order of vectors in which near ones lie near each other, so that who looks at a neighbourhood reads few pages.

As the leaves of a k-d tree (Bentley 1975): split at the median of the number that varies most, again and again.
"""

from __future__ import annotations

import numpy as np

from index_service.vectors import Positions, Vectors

__all__ = ["local_order"]

_LEAF = 256
_SAMPLE = 1_000


def local_order(vectors: Vectors) -> Positions:
    """Return all positions (n,) of vectors (n, dimension) in such an order; the same vectors give the same."""
    order = np.arange(len(vectors), dtype=np.intp)
    pending = [(0, len(order))]
    while pending:
        start, end = pending.pop()
        if end - start <= _LEAF:
            continue
        block = order[start:end]
        widest = int(np.argmax(vectors[block[:: -(-len(block) // _SAMPLE)]].var(axis=0)))
        middle = len(block) // 2
        order[start:end] = block[np.argpartition(vectors[block, widest], middle)]
        pending += [(start, start + middle), (start + middle, end)]
    return order
