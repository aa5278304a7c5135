"""The original article's recipe: VGG16's fc2 (4096) → Dense 2000 → Dense 300 on GloVe vectors, cosine loss.

    python -m trainer backbone vgg16 --out backbone.keras
    python -m trainer words convert glove.6B.zip --member glove.6B.300d.txt --out words
    python -m trainer features training/ --backbone backbone.keras --out features
    python -m trainer fit --config trainer/recipes/vgg16.toml --features features/training.npz --words words --run run
    python -m trainer export --backbone backbone.keras --head run/head.keras --words words --images unseen --out bundle

Source: Simonyan and Zisserman 2015 (network), Pennington et al. 2014 (vectors).
"""

from __future__ import annotations

from pathlib import Path

from trainer.fitting.config_file import head_settings

__all__ = ["BACKBONE", "HEAD"]

BACKBONE = "vgg16"
HEAD = head_settings(Path(__file__).with_name("vgg16.toml"), {}, dimension=300)
