"""The one module of the embedder that knows TensorFlow: pixels in, unit vectors out, in one graph.

Contract: uint8 (n, size, size, 3) RGB → float32 (n, 300) of unit length. Batches are padded to powers of two, so that a
handful of graphs serve every batch. A call may come from any one thread at a time.
"""

from __future__ import annotations

import os
from pathlib import Path

# Both must be set before TensorFlow is imported. oneDNN is off by default on some processors; measured with it on AMD
# EPYC, the residual network ran 1.3 to 2 times as fast.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["Network"]


class Network:
    """A backbone, a head and L2 normalisation as one graph."""

    def __init__(self, backbone: Path, head: Path, *, input_size: int) -> None:
        """Reads the two .keras files.

        Raises:
            OSError, ValueError, TypeError, KeyError: Keras cannot read them.
        """
        first = keras.models.load_model(backbone, compile=False)
        second = keras.models.load_model(head, compile=False)

        def embed(pixels: tf.Tensor) -> tf.Tensor:
            return tf.math.l2_normalize(second(first(pixels, training=False), training=False), axis=1)

        self.feature_dimension = int(first.output_shape[-1])
        signature = tf.TensorSpec((None, input_size, input_size, 3), tf.uint8)
        self._embed = tf.function(embed, input_signature=[signature]).get_concrete_function()

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns the vectors of a batch."""
        count = len(pixels)
        padded = 1 << max(count - 1, 0).bit_length()
        if padded > count:
            pixels = np.concatenate([pixels, np.zeros((padded - count, *pixels.shape[1:]), np.uint8)])
        vectors: NDArray[np.float32] = self._embed(tf.constant(pixels)).numpy()[:count]
        return vectors
