"""The views of a data set, with or without mirroring; the two never share a cache."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trainer.cli import app
from trainer.features.cache import list_caches
from trainer.features.feature_set import read_feature_set


@pytest.mark.parametrize(("options", "views"), [((), ("plain", "mirrored")), (("--no-mirror",), ("plain",))])
def test_the_views_are_part_of_the_cache(tmp_path: Path, options: tuple[str, ...], views: tuple[str, ...]) -> None:
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    left = keras.layers.GlobalAveragePooling2D()(keras.layers.Cropping2D(((0, 0), (0, 4)))(pixels))
    keras.Model(pixels, left).save(tmp_path / "backbone.keras")
    for number, name in enumerate(("dark", "dark", "light", "light")):
        picture = np.full((8, 8, 3), number, np.uint8)
        picture[:, 4:] = 100
        (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "images" / name / f"{number}.png")
    done = CliRunner().invoke(
        app,
        [
            "features", str(tmp_path / "images"), "--backbone", str(tmp_path / "backbone.keras"), "--out",
            str(tmp_path), "--cache", str(tmp_path / "caches"), "--validation-share", "0", *options,
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    [cache] = list_caches(tmp_path / "caches")
    assert cache.spec.views == views
    seen = read_feature_set(tmp_path / "training.npz")
    assert [seen.take(np.array([3]), view)[0, 0] for view in range(seen.views)] == [3, 100][: len(views)]
