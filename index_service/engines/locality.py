"""An order of vectors in which neighbours are close together, so that visiting a neighbourhood reads few pages.

It is the order of the leaves of a k-d tree (Bentley 1975): split recursively at the median of the number that varies
most.
"""

from __future__ import annotations

import numpy as np

from index_service.vectors import Positions, Vectors

_LEAF = 256
_SAMPLE = 1_000


def local_order(vectors: Vectors) -> Positions:
    """Return all positions (n,) of vectors (n, dimension) in such an order; it is deterministic."""
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
