"""Backbones ready to run, decoding as the embedder decodes.

Contract: an extractor's name holds the SHA-256 of the backbone's file, so that features of two backbones never meet in
one cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedder_service.errors import ImageError
from embedder_service.images import Resize, decode
from embedder_service.tflite_backbone import TfliteBackbone
from trainer.features import Extractor, Undecodable
from trainer.head import load_network

__all__ = ["keras_extractor", "tflite_extractor"]


def keras_extractor(backbone: Path, input_size: int, resize: Resize = Resize.CENTER_CROP) -> Extractor:
    """The extractor of a .keras file that maps (n, s, s, 3) uint8 to features (n, dimension)."""
    network = load_network(backbone)

    def features(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        computed: NDArray[np.float32] = network.predict(batch, batch_size=256, verbose=0)
        return computed

    name = f"{_name(backbone)} {input_size} px, {resize.value}"
    return Extractor(name, int(network.output_shape[-1]), _decoder(input_size, resize), features)


def tflite_extractor(
    backbone: Path, input_size: int, feature_layer: str, resize: Resize = Resize.CENTER_CROP
) -> Extractor:
    """The extractor of a .tflite file; ``feature_layer`` names the tensor that the features are."""
    network = TfliteBackbone(backbone, input_size=input_size, feature_layer=feature_layer)
    name = f"{_name(backbone)} {feature_layer} {input_size} px, {resize.value}"
    return Extractor(name, network.feature_dimension, _decoder(input_size, resize), network)


def _name(backbone: Path) -> str:
    return f"{backbone.stem}@sha256:{hashlib.sha256(backbone.read_bytes()).hexdigest()[:12]}"


def _decoder(size: int, resize: Resize) -> Callable[[bytes], NDArray[np.uint8]]:
    def pixels(content: bytes) -> NDArray[np.uint8]:
        try:
            return decode(content, size=size, resize=resize).pixels
        except ImageError as error:
            raise Undecodable(str(error)) from error

    return pixels
