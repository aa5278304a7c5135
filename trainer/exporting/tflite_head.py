"""A head as a .tflite file, which the embedder runs without TensorFlow."""

from __future__ import annotations

import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from trainer.keras_files import load_network

__all__ = ["write_tflite_head"]


def write_tflite_head(head: Path, target: Path, *, half: bool = False) -> None:
    """Convert a .keras head, float32 (n, features) → (n, dimension), for any number of rows.

    `half` keeps the weights as float16, which halves the file; LiteRT computes in float32 either way.

    Raises:
        OSError, ValueError: it cannot be read, or not be written.
    """
    network = load_network(head)
    # By way of a saved model: what converts a Keras network itself prints every tensor of it.
    seen = keras.Input(network.input_shape[1:], name="features")
    with tempfile.TemporaryDirectory() as saved:
        keras.Model(seen, network(seen)).export(saved, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved)
        if half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        target.write_bytes(converter.convert())
