"""The original article's recipe: VGG16's fc2 (4096) → Dense 2000 → Dense 300 on GloVe vectors, cosine loss.

The backbone is not stored in the bundle: the manifest names the Keras application and its weights' checksum, 550 MB
that whoever serves it fetches on their own. This package's one module that imports Keras.

Source: Simonyan and Zisserman 2015 (network), Pennington et al. 2014 (vectors).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from trainer.settings import HeadSettings, LossSettings

__all__ = ["FEATURE_DIMENSION", "FEATURE_LAYER", "HEAD", "INPUT_SIZE", "backbone"]

INPUT_SIZE = 224
FEATURE_LAYER = "fc2"
FEATURE_DIMENSION = 4096

HEAD = HeadSettings(
    hidden=(2000,), dimension=300, activation="relu", dropout=0.2, loss=LossSettings("cosine"), epochs=20
)


def backbone(weights: Path | None) -> Any:
    """VGG16 up to fc2: (n, 224, 224, 3) uint8 RGB → (n, 4096) float32.

    ``weights`` is a file as Keras offers it for download (with the top layers); None leaves the network untrained.
    """
    application = keras.applications.VGG16(weights=None if weights is None else str(weights))
    pixels = keras.Input((INPUT_SIZE, INPUT_SIZE, 3), dtype="uint8", name="pixels")
    x = keras.applications.vgg16.preprocess_input(keras.ops.cast(pixels, "float32"))
    features = keras.Model(application.input, application.get_layer(FEATURE_LAYER).output, name="vgg16")(x)
    return keras.Model(pixels, features, name="vgg16_fc2")
