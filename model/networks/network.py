"""The network of a bundle, from pixels to unit vectors: a backbone, a head and L2 normalisation.

Contract: uint8 (n, size, size, 3) RGB → float32 (n, dimension) of unit length. Calls may come from any thread, one at a
time. TensorFlow is loaded only for .keras files: loading takes seconds, and a process without it stays small.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.networks.pixel_scale import PixelScale
from model.networks.tflite_backbone import TfliteBackbone
from model.networks.tflite_head import TfliteHead

if TYPE_CHECKING:
    from model.networks.keras_network import KerasNetwork

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
        """Read .keras or .tflite files; the last two arguments are for a .tflite backbone (see `TfliteBackbone`).

        Raises:
            OSError, ValueError, TypeError, KeyError, RuntimeError: the files cannot be read, or do not fit together.
        """
        self._features = (
            TfliteBackbone(backbone, input_size=input_size, feature_layer=feature_layer, pixel_scale=pixel_scale)
            if backbone.suffix == TFLITE
            else None
        )
        dimension = self._features.feature_dimension if self._features else 0
        self._vectors = _head(head, None if self._features else backbone, input_size, dimension)
        self.feature_dimension = self._vectors.feature_dimension

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vectors of a batch."""
        inputs: NDArray[Any] = self._features(pixels) if self._features else pixels
        return self._vectors(inputs)


def _head(head: Path, backbone: Path | None, input_size: int, feature_dimension: int) -> KerasNetwork | TfliteHead:
    """Open a head, together with the backbone if that is a .keras file."""
    if head.suffix != TFLITE:
        from model.networks.keras_network import KerasNetwork

        return KerasNetwork(head, backbone=backbone, input_size=input_size, feature_dimension=feature_dimension)
    if backbone:
        raise ValueError(f"{head.name} needs a .tflite backbone, and {backbone.name} is not one")
    return TfliteHead(head, feature_dimension)
