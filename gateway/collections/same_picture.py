"""The rule that two images show the same picture: perceptual hashes and vectors are both close.

The hash decides, and the vector is a second check: different photos whose hashes are close by chance mostly have
distant vectors, and pages of text with close vectors have distant hashes. The bounds are measured
(docs/decisions/0025-the-same-picture.md). An image without a hash, or with a hash of zeros, never matches another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.backends.embedding import Vector

MAX_BITS = 24  # of 256
MIN_COSINE = 0.3
DIGITS = 64
PLAIN = "0" * DIGITS  # the hash of a picture without contrast

Hashes = NDArray[np.uint64]


def hashes_of(texts: Sequence[str]) -> Hashes:
    """Return perceptual hashes (n, 4) from their hex digits; a text of another length counts as plain."""
    content = b"".join(bytes.fromhex(text if len(text) == DIGITS else PLAIN) for text in texts)
    return np.frombuffer(content, dtype=np.uint64).reshape(-1, 4)


def same_as(own_hash: Hashes, vector: Vector, hashes: Hashes, vectors: Sequence[Vector]) -> NDArray[np.bool_]:
    """Return which of some images show the same picture as a given one, whose hash has shape (4,)."""
    same: NDArray[np.bool_] = (np.bitwise_count(hashes ^ own_hash).sum(axis=1) <= MAX_BITS) & hashes.any(axis=1)
    if not own_hash.any():
        same[:] = False
    for number in np.flatnonzero(same).tolist():
        same[number] = np.dot(vectors[number], vector) >= MIN_COSINE
    return same
