"""The pictures of a bundle's self-test: colours that run into each other, drawn, so that nobody's pictures ship.

Contract: the same size gives the same pictures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["self_test_pictures"]

_PICTURES = 4
_WAVES = 5


def self_test_pictures(size: int) -> NDArray[np.uint8]:
    """Returns uint8 (4, size, size, 3): for each channel a sum of plane waves."""
    random = np.random.default_rng(0)
    down, right = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    shape = (_PICTURES, 3, _WAVES, 1, 1)
    across, along, phase = (random.uniform(-low, high, shape) for low, high in ((4, 4), (4, 4), (0, 1)))
    waves = np.sin(2 * np.pi * (across * right + along * down + phase)).mean(axis=2)
    pictures: NDArray[np.uint8] = np.moveaxis(127.5 + 127.5 * waves, 1, -1).round().astype(np.uint8)
    return pictures
