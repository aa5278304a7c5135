"""The one module of the embedder that knows TensorFlow: pixels in, unit vectors out.

Contract: uint8 (n, size, size, 3) RGB → float32 (n, dimension) of unit length. A .keras backbone, the head and the L2
norm are one graph; features of a .tflite backbone (see `tflite_backbone`) go through a graph of the other two. Batches
are padded to powers of two, so that a handful of graphs serve every batch. A call may come from any one thread at a
time.
"""

from __future__ import annotations

from pathlib import Path

from embedder_service.loading_tensorflow import load_tensorflow

load_tensorflow()

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from embedder_service.pixel_scale import PixelScale
from embedder_service.tflite_backbone import TfliteBackbone

__all__ = ["TFLITE", "Network"]

TFLITE = ".tflite"


class Network:
    """A backbone, a head and L2 normalisation."""

    def __init__(
        self,
        backbone: Path,
        head: Path,
        *,
        input_size: int,
        feature_layer: str = "",
        pixel_scale: PixelScale | None = None,
    ) -> None:
        """Reads a .keras or a .tflite backbone and a .keras head; the last two are for .tflite (see there).

        Raises:
            OSError, ValueError, TypeError, KeyError, RuntimeError: they cannot be read, or do not fit together.
        """
        last = keras.models.load_model(head, compile=False)
        self._features: TfliteBackbone | None = None
        if backbone.suffix == TFLITE:
            self._features = TfliteBackbone(
                backbone, input_size=input_size, feature_layer=feature_layer, pixel_scale=pixel_scale
            )
            self.feature_dimension = self._features.feature_dimension
            signature = tf.TensorSpec((None, self.feature_dimension), tf.float32)

            def embed(inputs: tf.Tensor) -> tf.Tensor:
                return tf.math.l2_normalize(last(inputs, training=False), axis=1)
        else:
            first = keras.models.load_model(backbone, compile=False)
            self.feature_dimension = int(first.output_shape[-1])
            signature = tf.TensorSpec((None, input_size, input_size, 3), tf.uint8)

            def embed(inputs: tf.Tensor) -> tf.Tensor:
                return tf.math.l2_normalize(last(first(inputs, training=False), training=False), axis=1)

        self._embed = tf.function(embed, input_signature=[signature]).get_concrete_function()

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns the vectors of a batch."""
        inputs = pixels if self._features is None else self._features(pixels)
        count = len(inputs)
        padded = 1 << max(count - 1, 0).bit_length()
        if padded > count:
            inputs = np.concatenate([inputs, np.zeros((padded - count, *inputs.shape[1:]), inputs.dtype)])
        vectors: NDArray[np.float32] = self._embed(tf.constant(inputs)).numpy()[:count]
        return vectors
