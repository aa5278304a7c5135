"""Networks of keras.applications as backbones: what they see, and that their files stand alone."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from numpy.typing import NDArray
from typer.testing import CliRunner

from trainer.backbones.applications import APPLICATIONS
from trainer.backbones.building import build_backbone, preprocessed, save_backbone
from trainer.cli import app
from trainer.errors import BackboneUnusable
from trainer.features.extractors import extractor_of

SIZE = 64


def pictures(size: int, count: int = 2) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_preprocessing_inside_the_network_matches_its_own(name: str) -> None:
    application = APPLICATIONS[name]
    seen = ops.convert_to_numpy(preprocessed(ops.convert_to_tensor(pictures(SIZE)), application.preprocessing))
    module = import_module(f"keras.applications.{application.module}")
    np.testing.assert_allclose(seen, module.preprocess_input(pictures(SIZE).astype(np.float32)), atol=1e-4)


# Small ones: preprocessing beside the network, preprocessing in it, and layers of their own. VGG16 is
# built in recipes/test_vgg16.
@pytest.mark.parametrize("name", ["mobilenetv2", "mobilenetv3-small", "convnext-tiny"])
def test_a_file_loads_by_itself_and_matches_the_application(tmp_path: Path, name: str) -> None:
    save_backbone(build_backbone(name, "random", seed=1, input_size=SIZE), tmp_path / "backbone.keras")
    features = extractor_of(tmp_path / "backbone.keras").network(pictures(SIZE))

    keras.utils.set_random_seed(1)
    application = APPLICATIONS[name]
    module = import_module(f"keras.applications.{application.module}")
    own: Any = getattr(keras.applications, application.function)(
        weights=None, include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3)
    )
    expected = own.predict_on_batch(module.preprocess_input(pictures(SIZE).astype(np.float32)))
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["mobilenetv3-small", "efficientnetv2-b0", "efficientnetv2-s", "convnext-tiny"])
def test_a_network_that_takes_raw_pixels_has_layers_for_it(name: str) -> None:
    [network] = [each for each in build_backbone(name, "random", input_size=SIZE).layers if hasattr(each, "layers")]
    kinds = {type(each).__name__ for layer in network.layers[:4] for each in (layer, *getattr(layer, "layers", ()))}
    assert kinds & {"Rescaling", "Normalization"}


def test_the_same_seed_makes_the_same_file_and_another_does_not(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.keras" for number in range(3)]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        save_backbone(build_backbone("mobilenetv3-small", "random", seed, SIZE), file)
    first, again, other = (file.read_bytes() for file in files)
    assert first == again
    assert first != other


def test_weights_from_a_file_are_in_the_backbone(tmp_path: Path) -> None:
    keras.utils.set_random_seed(5)
    own = keras.applications.MobileNetV2(weights=None, include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3))
    own.save_weights(tmp_path / "own.weights.h5")
    network = build_backbone("mobilenetv2", str(tmp_path / "own.weights.h5"), input_size=SIZE)
    expected = own.predict_on_batch(pictures(SIZE) / np.float32(127.5) - 1)
    np.testing.assert_allclose(network.predict_on_batch(pictures(SIZE)), expected, rtol=1e-3, atol=1e-4)


def test_the_command_names_weights_that_cannot_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    result = CliRunner().invoke(app, ["backbone", "mobilenetv2", "--out", str(tmp_path / "backbone.keras")])
    assert result.exit_code == 1
    assert "could not be downloaded" in result.stderr
    assert "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5" in result.stderr
    assert "--weights FILE" in result.stderr
    assert not (tmp_path / "backbone.keras").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonet", "random", 0, None), "Choose one of vgg16, "),
        (("vgg16", "random", 0, 64), "pictures of 224 pixels, not of 64"),
        (("mobilenetv2", "rubbish.h5", 0, 64), "rubbish.h5 has no weights of mobilenetv2"),
    ],
)
def test_an_impossible_backbone_is_refused_in_one_sentence(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(BackboneUnusable, match=message) as refused:
        build_backbone(*arguments)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_backbone_is_refused_by_name(tmp_path: Path) -> None:
    numbers = keras.Input((4,))
    keras.Model(numbers, keras.layers.Dense(2)(numbers)).save(tmp_path / "head.keras")
    pixels = keras.Input((None, None, 3), dtype="uint8")
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pixels))
    keras.Model(pixels, means).save(tmp_path / "any.keras")
    fixed = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    keras.Model(fixed, keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(fixed))).save(tmp_path / "fixed.keras")
    (tmp_path / "rubbish.keras").write_text("rubbish")
    (tmp_path / "rubbish.tflite").write_text("rubbish")
    for name, size, layer, message in (
        ("absent.keras", None, "", "not a usable backbone"),
        ("rubbish.keras", None, "", "not a usable backbone"),
        ("rubbish.tflite", None, "", "not a usable backbone"),
        ("head.keras", None, "", "not pixels"),
        ("any.keras", None, "", "--input-size"),
        ("any.keras", SIZE, "fc2", "--feature-layer"),
        ("fixed.keras", 32, "", "of 64 × 64 pixels, not of 32"),
    ):
        with pytest.raises(BackboneUnusable, match=message):
            extractor_of(tmp_path / name, size, layer)
    assert extractor_of(tmp_path / "fixed.keras").input_size == SIZE
