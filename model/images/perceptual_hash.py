"""A hash of how a picture looks: nearly the same bits for the same picture in another size, format or quality.

The picture in 32 × 32 levels of gray is transformed by the discrete cosine transform. Each of the 8 × 8 lowest
frequencies gives a bit: whether it is above their median (Zauner 2010, "Implementation and benchmarking of perceptual
image hash functions").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["perceptual_hash"]

_EDGE, _FREQUENCIES = 32, 8


def _cosines() -> NDArray[np.float32]:
    frequencies, places = np.arange(_FREQUENCIES)[:, None], np.arange(_EDGE)
    cosines: NDArray[np.float32] = np.cos(np.pi / _EDGE * (places + 0.5) * frequencies).astype(np.float32)
    return cosines


_COSINES = _cosines()


def perceptual_hash(picture: Image.Image) -> int:
    """Return the 64 bits of an RGB picture, whose shape does not matter."""
    small = picture.convert("L").resize((_EDGE, _EDGE), Image.Resampling.BOX)
    spectrum = _COSINES @ np.asarray(small, np.float32) @ _COSINES.T
    return int.from_bytes(np.packbits(spectrum > np.median(spectrum)).tobytes(), "big")
