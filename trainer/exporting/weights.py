"""Shrink the weights of a bundle's networks, in files that the embedder serves like any other.

    float16   kernels of backbone and head as float16 (see `keras_files`): half the file, computed as before
    int8      a .keras backbone as .tflite with weights and activations as int8, the head as float16: a quarter of the
              file; pixels go in as they are, and features come out as float32

Contract: the given files are not changed. TensorFlow and LiteRT are imported where they are used: the options of
`export` need `Weights` without them.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.errors import BackboneUnusable


class Weights(StrEnum):
    """How weights are kept in a bundle."""

    AS_IS = "as-is"
    FLOAT16 = "float16"
    INT8 = "int8"


def smaller_weights(
    backbone: Path, head: Path, weights: Weights, pixels: NDArray[np.uint8], folder: Path
) -> tuple[Path, Path]:
    """Write a backbone and a head with smaller weights into the folder; return their files.

    `pixels`: uint8 (n, size, size, 3), a hundred or so of the pictures that are to be served: the ranges of int8
    activations come from them. A .tflite backbone keeps its weights.

    Raises:
        BackboneUnusable: a .tflite backbone cannot become int8, or the conversion fails; the message says why.
    """
    from model.networks.network import TFLITE

    smaller = folder / backbone.name, folder / f"head{head.suffix}"
    shutil.copyfile(head, smaller[1])
    _halve(smaller[1])
    if weights is Weights.INT8:
        if backbone.suffix == TFLITE:
            raise BackboneUnusable(
                f"{backbone} is a .tflite file, whose weights are what its maker chose. Leave --weights out, or give "
                "float16, which is for the head alone then."
            )
        quantised = smaller[0].with_suffix(TFLITE)
        quantised.write_bytes(_int8(backbone, pixels, folder / "saved"))
        return quantised, smaller[1]
    shutil.copyfile(backbone, smaller[0])
    if backbone.suffix != TFLITE:
        _halve(smaller[0])
    return smaller


def _halve(file: Path) -> None:
    from trainer.keras_files import halve_weights

    try:
        halve_weights(file)
    except ValueError as error:
        raise BackboneUnusable(f"{file.name} cannot be kept as float16: {error}. Leave --weights out.") from error


def _int8(backbone: Path, pixels: NDArray[np.uint8], saved: Path) -> bytes:
    import keras
    import tensorflow as tf

    from trainer.keras_files import load_network

    # A file for pictures of any size gets the one that it serves.
    seen = keras.Input(pixels.shape[1:], batch_size=1, dtype="uint8", name="pixels")
    # What converts a Keras network itself prints every tensor of it.
    keras.Model(seen, load_network(backbone)(seen)).export(saved, verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([picture[None]] for picture in pixels)
    try:
        with warnings.catch_warnings(action="ignore"):  # that uint8 pixels come without statistics: they need none
            return bytes(converter.convert())
    except Exception as error:  # what is in the file decides what the converter raises
        why = str(error).strip().splitlines()[:1]
        raise BackboneUnusable(
            f"{backbone} cannot be converted to int8 ({''.join(why)}). Export it with --weights float16."
        ) from error


def write_tflite_head(head: Path, target: Path, *, half: bool = False) -> None:
    """Convert a .keras head, float32 (n, features) → (n, dimension), for any number of rows.

    `half` keeps the weights as float16, which halves the file; LiteRT computes in float32 either way.

    Raises:
        OSError, ValueError: it cannot be read or written.
    """
    import keras
    import tensorflow as tf

    from trainer.keras_files import load_network

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
