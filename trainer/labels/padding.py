"""Labels of images that may have several, as one array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["padded_labels"]


def padded_labels(labels: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """The numbers of each image's labels: (images, most) int64, -1 after the last of an image that has fewer."""
    most = max(map(len, labels), default=1)
    return np.array([[*each, *[-1] * (most - len(each))] for each in labels], dtype=np.int64).reshape(-1, most)
