"""What a head makes of features, batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

__all__ = ["outputs_of"]

_BATCH = 1024


def outputs_of(head: Any, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outputs (n, dimension) of a head, not normalised, of features (n, features), n ≥ 1."""
    # Called as it is: `predict` makes a pipeline first, and traces a function, which takes longer than the images do.
    starts = range(0, len(features), _BATCH)
    return np.concatenate(
        [ops.convert_to_numpy(head(features[start : start + _BATCH], training=False)) for start in starts]
    )
