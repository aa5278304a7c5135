"""Backbones ready to run, decoding as the embedder decodes.

Contract: an extractor's name holds the SHA-256 of the backbone's file, so that features of two backbones never share a
cache. Preprocessing is part of the network's file: it takes uint8 RGB. If a .tflite file takes float32, its pixel scale
is given with it, and is part of the name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import ImageError
from model.images import Resize, decode
from model.networks.network import TFLITE
from model.networks.pixel_scale import PixelScale, PixelScaleMissing
from model.networks.tflite_backbone import TfliteBackbone
from serving.durable_files import sha256
from trainer.errors import BackboneUnusable
from trainer.features.computing import Extractor, Undecodable
from trainer.keras_files import load_network

# Larger parts do not fit the processor's caches: MobileNetV2 at 224 px made 34, 33, 28, 24 images/s on two busy cores
# in parts of 8, 16, 32, 64.
_PIXELS_AT_ONCE = 16 * 224**2


def extractor_of(
    backbone: Path,
    input_size: int | None = None,
    feature_layer: str = "",
    resize: Resize = Resize.CENTER_CROP,
    pixel_scale: PixelScale | None = None,
) -> Extractor:
    """Return the extractor of a .keras or a .tflite file.

    `input_size`: edge of the pictures in pixels; None uses the file's. `feature_layer`: of a .tflite file, the tensor
    of the features; "" is its output. `pixel_scale`: of a .tflite file that takes float32.

    Raises:
        BackboneUnusable: the file cannot be read, takes other pictures, or does not state their size or scale.
    """
    if backbone.suffix == TFLITE:
        return tflite_extractor(backbone, input_size, feature_layer, resize, pixel_scale)
    if feature_layer:
        raise BackboneUnusable(
            f"A feature layer ({feature_layer}) can be named for a .tflite file only: a .keras file ends with its "
            "features. Leave --feature-layer out."
        )
    if pixel_scale:
        raise BackboneUnusable(
            "The pixel scale can be given for a .tflite file only: a .keras file takes pixels as they are. Leave "
            "--pixel-mean and --pixel-std out."
        )
    return keras_extractor(backbone, input_size, resize)


def keras_extractor(backbone: Path, input_size: int | None = None, resize: Resize = Resize.CENTER_CROP) -> Extractor:
    """Return the extractor of a .keras file: (n, s, s, 3) uint8 to features (n, dimension). Raises as above."""
    try:
        network = load_network(backbone)
        taken, given = network.input_shape, network.output_shape
    except Exception as error:  # what is in the file decides what Keras raises
        raise _unusable(backbone, str(error)) from error
    if not (isinstance(taken, tuple) and len(taken) == 4 and taken[3] == 3 and len(given) == 2):
        raise _unusable(backbone, f"it maps {taken} to {given}, not pixels (n, s, s, 3) to features (n, d)")
    size = input_size or taken[1]
    if size is None:
        raise BackboneUnusable(f"{backbone} takes pictures of any size. Choose one with --input-size")
    if taken[1:3] not in ((None, None), (size, size)):
        raise _unusable(backbone, f"it takes pictures of {taken[1]} × {taken[2]} pixels, not of {size}")

    at_once = max(1, _PIXELS_AT_ONCE // size**2)

    def features(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = [network.predict_on_batch(batch[start : start + at_once]) for start in range(0, len(batch), at_once)]
        return np.concatenate(parts)

    name = f"{network.name}@sha256:{sha256(backbone)[:12]} {size} px, {resize.value}"
    return Extractor(name, int(given[-1]), _decoder(size, resize), features, size)


def tflite_extractor(
    backbone: Path,
    input_size: int | None,
    feature_layer: str,
    resize: Resize = Resize.CENTER_CROP,
    pixel_scale: PixelScale | None = None,
) -> Extractor:
    """Return the extractor of a .tflite file; `feature_layer` names the tensor of features. Raises as above."""
    try:
        network = TfliteBackbone(backbone, input_size=input_size, feature_layer=feature_layer, pixel_scale=pixel_scale)
    except PixelScaleMissing as error:
        raise BackboneUnusable(
            f"{error}, and the file does not state the scale. Give it as in the network's documentation: "
            "--pixel-mean 127.5 --pixel-std 127.5 for −1…1, --pixel-mean 0 --pixel-std 255 for 0…1."
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise _unusable(backbone, str(error)) from error
    name = f"{backbone.stem}@sha256:{sha256(backbone)[:12]} {feature_layer} {network.input_size} px, {resize.value}"
    if pixel_scale:
        name += f", pixels less {pixel_scale.mean} by {pixel_scale.deviation}"
    decoder = _decoder(network.input_size, resize)
    return Extractor(name, network.feature_dimension, decoder, network, network.input_size)


def _unusable(backbone: Path, why: Any) -> BackboneUnusable:
    return BackboneUnusable(
        f"{backbone} is not a usable backbone: {str(why).strip().splitlines()[0]}. Give a .keras file that "
        "takes uint8 pixels and ends with features (python -m trainer backbone), or a .tflite classifier."
    )


def _decoder(size: int, resize: Resize) -> Callable[[bytes], NDArray[np.uint8]]:
    def pixels(content: bytes) -> NDArray[np.uint8]:
        try:
            return decode(content, size=size, resize=resize).pixels
        except ImageError as error:
            raise Undecodable(str(error)) from error

    return pixels
