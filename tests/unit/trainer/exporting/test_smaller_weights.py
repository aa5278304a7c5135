"""Networks with smaller weights give nearly the same vectors, from smaller files, through the embedder's own code."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from model.networks.network import Network
from trainer.errors import BackboneUnusable
from trainer.exporting.weights import Weights, smaller_weights
from trainer.fitting.head import build_head, save_head
from trainer.fitting.settings import HeadSettings

SIZE = 24
PIXELS = np.random.default_rng(0).integers(0, 256, (20, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("networks")
    keras.utils.set_random_seed(0)
    pixels = keras.Input((None, None, 3), dtype="uint8")
    maps = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    for channels in (16, 64, 128):
        maps = keras.layers.Conv2D(channels, 3, strides=2, padding="same", activation="relu")(maps)
    keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(maps)).save(folder / "any.keras")
    save_head(build_head(HeadSettings(hidden=(200,)), 128), folder / "head.keras")
    return folder / "any.keras", folder / "head.keras"


@pytest.mark.parametrize(
    ("weights", "backbone", "share", "cosine"),
    [(Weights.FLOAT16, "any.keras", 0.6, 0.9999), (Weights.INT8, "any.tflite", 0.4, 0.98)],
)
def test_files_shrink_and_vectors_stay(
    files: tuple[Path, Path], tmp_path: Path, weights: Weights, backbone: str, share: float, cosine: float
) -> None:
    before = [file.read_bytes() for file in files]
    smaller = smaller_weights(*files, weights, PIXELS, tmp_path)
    assert smaller[0].name == backbone
    assert smaller[0].stat().st_size < share * files[0].stat().st_size
    assert smaller[1].stat().st_size < 0.6 * files[1].stat().st_size
    assert [file.read_bytes() for file in files] == before
    given, kept = (Network(*each, input_size=SIZE)(PIXELS) for each in (files, smaller))
    assert np.einsum("nd,nd->n", given, kept).min() > cosine


def test_a_tflite_backbone_keeps_its_weights(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(b"whatever")
    (tmp_path / "out").mkdir()
    kept, _ = smaller_weights(tmp_path / "net.tflite", files[1], Weights.FLOAT16, PIXELS, tmp_path / "out")
    assert kept.read_bytes() == b"whatever"
    with pytest.raises(BackboneUnusable, match="Leave --weights out"):
        smaller_weights(tmp_path / "net.tflite", files[1], Weights.INT8, PIXELS, tmp_path / "out")


def test_weights_beyond_float16_are_reported_with_what_to_do(files: tuple[Path, Path], tmp_path: Path) -> None:
    head = build_head(HeadSettings(), 128)
    head.layers[-1].kernel.assign(np.full((128, 300), 1e6, dtype=np.float32))
    save_head(head, tmp_path / "head.keras")
    (tmp_path / "out").mkdir()
    with pytest.raises(BackboneUnusable, match="beyond float16"):
        smaller_weights(files[0], tmp_path / "head.keras", Weights.FLOAT16, PIXELS, tmp_path / "out")
