"""Networks in .keras files: the one module of the embedder that knows TensorFlow, which takes seconds to load.

Contract: a .keras backbone, the head and the L2 norm are one graph, uint8 (n, size, size, 3) RGB in; behind a backbone
of another kind it is the head and the norm, float32 (n, feature dimension) in. Out come float32 (n, 300) of length 1.
Batches are padded to powers of two, so that a handful of graphs serve every batch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.networks.loading_tensorflow import load_tensorflow

load_tensorflow()

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["KerasNetwork"]


class KerasNetwork:
    """A head and L2 normalisation, behind a backbone or behind features."""

    def __init__(self, head: Path, *, backbone: Path | None, input_size: int, feature_dimension: int = 0) -> None:
        """Read .keras files; without a backbone, features of `feature_dimension` numbers are taken.

        Raises:
            OSError, ValueError, TypeError, KeyError, RuntimeError: they cannot be read, or do not fit together.
        """
        last = keras.models.load_model(head, compile=False)
        first = keras.models.load_model(backbone, compile=False) if backbone else None
        self.feature_dimension = int(first.output_shape[-1]) if first else feature_dimension
        signature = (
            tf.TensorSpec((None, input_size, input_size, 3), tf.uint8)
            if first
            else tf.TensorSpec((None, feature_dimension), tf.float32)
        )

        def embed(inputs: tf.Tensor) -> tf.Tensor:
            features = first(inputs, training=False) if first else inputs
            return tf.math.l2_normalize(last(features, training=False), axis=1)

        self._embed = tf.function(embed, input_signature=[signature]).get_concrete_function()

    def __call__(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Return the vectors of a batch."""
        count = len(inputs)
        padded = 1 << max(count - 1, 0).bit_length()
        if padded > count:
            inputs = np.concatenate([inputs, np.zeros((padded - count, *inputs.shape[1:]), inputs.dtype)])
        vectors: NDArray[np.float32] = self._embed(tf.constant(inputs)).numpy()[:count]
        return vectors
