"""The original article's recipe: VGG16's fc2 (4096) → Dense 2000 → Dense 300 on GloVe vectors, cosine loss.

    python -m trainer backbone vgg16 --out backbone.keras

Source: Simonyan and Zisserman 2015 (network), Pennington et al. 2014 (vectors).
"""

from __future__ import annotations

from trainer.fitting.settings import HeadSettings, LossSettings

__all__ = ["BACKBONE", "HEAD"]

BACKBONE = "vgg16"
HEAD = HeadSettings(
    hidden=(2000,), dimension=300, activation="relu", dropout=0.2, loss=LossSettings("cosine"), epochs=20
)
