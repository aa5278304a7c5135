"""A perceptual hash: nearly the same bits for the same picture in another size, format or quality.

The picture, reduced to 64 × 64 gray levels, is transformed by the discrete cosine transform. Each of the 16 × 16 lowest
frequencies gives a bit: whether it is above their median (Zauner 2010, "Implementation and benchmarking of perceptual
image hash functions", with 8 × 8 frequencies; these cannot distinguish two pages of text from two copies of one).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HASH_BYTES = 32
_EDGE, _FREQUENCIES = 64, 16
# The least median absolute deviation of the frequencies, in gray levels: below it, noise decides the bits. It is 0.25
# or more in photos, 0.1 or more in pages of text, 0.04 or less in pictures of one colour with noise.
_LEAST_CONTRAST = 0.08


def _cosines() -> NDArray[np.float32]:
    frequencies, places = np.arange(_FREQUENCIES)[:, None], np.arange(_EDGE)
    cosines: NDArray[np.float32] = np.cos(np.pi / _EDGE * (places + 0.5) * frequencies).astype(np.float32)
    return cosines


_COSINES = _cosines()


def perceptual_hash(picture: Image.Image) -> bytes:
    """Return the hash of an RGB picture of any shape; all bits are 0 if it has almost no contrast."""
    small = picture.convert("L").resize((_EDGE, _EDGE), Image.Resampling.BOX)
    spectrum = _COSINES @ np.asarray(small, np.float32) @ _COSINES.T * (2 / _EDGE**2)
    above = spectrum - np.median(spectrum)
    if np.median(np.abs(above)) < _LEAST_CONTRAST:
        return bytes(HASH_BYTES)
    return np.packbits(above > 0).tobytes()
