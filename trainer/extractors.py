"""Backbones ready to run, decoding as the embedder decodes.

Contract: an extractor's name holds the SHA-256 of the backbone's file, so that features of two backbones never meet in
one cache.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedder_service.errors import ImageError
from embedder_service.images import Resize, decode
from trainer.features import Extractor, Undecodable
from trainer.head import load_network

__all__ = ["keras_extractor"]


def keras_extractor(backbone: Path, input_size: int, resize: Resize = Resize.CENTER_CROP) -> Extractor:
    """The extractor of a .keras file that maps (n, s, s, 3) uint8 to features (n, dimension)."""
    network = load_network(backbone)
    digest = hashlib.sha256(backbone.read_bytes()).hexdigest()[:12]

    def pixels(content: bytes) -> NDArray[np.uint8]:
        try:
            return decode(content, size=input_size, resize=resize).pixels
        except ImageError as error:
            raise Undecodable(str(error)) from error

    def features(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        computed: NDArray[np.float32] = network.predict(batch, batch_size=256, verbose=0)
        return computed

    name = f"{backbone.stem}@sha256:{digest} {input_size} px, {resize.value}"
    return Extractor(name, int(network.output_shape[-1]), pixels, features)
