"""Networks in .keras files: the only module of the embedder that imports TensorFlow, which takes seconds to load.

Contract: a .keras backbone, the head and L2 normalisation are one graph that takes uint8 (n, size, size, 3) RGB. After
a backbone of another kind, the graph is head and normalisation, and takes float32 (n, feature dimension). The output is
float32 (n, dimension) of length 1. Batches are padded to powers of two, so that a few graphs serve all batch sizes.
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


class KerasNetwork:
    """A head and L2 normalisation, after a backbone or on features."""

    def __init__(self, head: Path, *, backbone: Path | None, input_size: int, feature_dimension: int = 0) -> None:
        """Read .keras files; without a backbone, the network takes features of `feature_dimension` numbers.

        Raises:
            OSError, ValueError, TypeError, KeyError, RuntimeError: the files cannot be read, or do not fit together.
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
