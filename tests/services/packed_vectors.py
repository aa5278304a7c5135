"""Vectors in the format of messages: little-endian float32."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def packed(vector: Sequence[float] | NDArray[np.float32]) -> bytes:
    return np.array(vector, dtype="<f4").tobytes()


def unpacked(vector: bytes) -> list[float]:
    return [float(each) for each in np.frombuffer(vector, dtype="<f4")]
