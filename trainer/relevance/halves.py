"""Which half an image or a word belongs to: the one that curves are fitted on, or the one that reports what they do.

Contract: the half follows from what the thing is (its pixels, its letters) and from nothing else. So a bundle need not
tell which images its curves were fitted on, and no later evaluation, in whatever order and of whichever images, reports
on what was fitted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["image_halves", "is_for_fitting", "word_halves"]


def is_for_fitting(content: bytes) -> bool:
    """Whether something belongs to the half that curves are fitted on: its SHA-256 is even."""
    return hashlib.sha256(content).digest()[-1] % 2 == 0


def image_halves(pixels: Iterable[NDArray[np.uint8]]) -> NDArray[np.bool_]:
    """Which images are for fitting, by their pixels as the network sees them: (n)."""
    return np.array([is_for_fitting(image.tobytes()) for image in pixels], dtype=np.bool_)


def word_halves(words: Iterable[str]) -> NDArray[np.bool_]:
    """Which words are for fitting: (n)."""
    return np.array([is_for_fitting(word.encode()) for word in words], dtype=np.bool_)
