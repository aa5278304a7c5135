"""A .tflite backbone gives the features of its tensor, and files that do not fit are refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from model.bundle.reading import open_bundle, peek
from model.bundle.writing import BundleContent, write_bundle
from model.errors import BundleDamaged
from model.images import decode
from model.networks.pixel_scale import PixelScale, PixelScaleMissing
from model.networks.tflite_backbone import TfliteBackbone
from tests.bundles import INPUT_SIZE, write_test_bundle
from tests.needs import SHARED_DATA, need

MOBILENET = SHARED_DATA / "mobilenet_v2" / "mobilenet_v2_1.0_224_quant.tflite"
LOGITS = "MobilenetV2/Logits/Squeeze1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the same network as .keras and as .tflite once, because it takes seconds and no test changes it."""
    parent = tmp_path_factory.mktemp("bundles")
    write_test_bundle(parent, name="keras")
    write_test_bundle(parent, name="tflite", tflite=True)
    return parent


@pytest.fixture(scope="module")
def mobilenet() -> Path:
    need(MOBILENET.exists(), f"There is no {MOBILENET}.")
    return MOBILENET


def noise(count: int, size: int = INPUT_SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_both_kinds_of_file_give_the_same_vectors(folder: Path) -> None:
    keras_bundle, tflite_bundle = open_bundle(folder / "keras"), open_bundle(folder / "tflite")
    assert (keras_bundle.manifest.backbone, tflite_bundle.manifest.backbone) == ("backbone.keras", "backbone.tflite")
    for count in (1, 3, 5):
        np.testing.assert_allclose(tflite_bundle.network(noise(count)), keras_bundle.network(noise(count)), atol=1e-5)


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the network of the bundles with float32 pixels of -1…1."""
    numbers = keras.Input((INPUT_SIZE, INPUT_SIZE, 3))
    network = keras.Model(numbers, keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(numbers)))
    file = tmp_path_factory.mktemp("floats") / "floats.tflite"
    file.write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    return file


@pytest.mark.parametrize(
    "scale", [PixelScale((127.5,), (127.5,)), PixelScale((127.5,) * 3, (127.5,)), PixelScale((127.5,), (127.5,) * 3)]
)
def test_a_float_network_gets_pixels_on_the_given_scale(folder: Path, floats: Path, scale: PixelScale) -> None:
    bytes_network = TfliteBackbone(folder / "tflite" / "backbone.tflite", input_size=INPUT_SIZE)
    float_network = TfliteBackbone(floats, input_size=INPUT_SIZE, pixel_scale=scale)
    np.testing.assert_allclose(float_network(noise(3)), bytes_network(noise(3)), atol=1e-5)
    channels = TfliteBackbone(floats, input_size=INPUT_SIZE, pixel_scale=PixelScale((0, 10, 20), (1, 2, 4)))
    expected = (noise(1).astype(np.float32) - np.float32([0, 10, 20])) / np.float32([1, 2, 4])
    np.testing.assert_allclose(channels(noise(1)).mean(), expected.mean(), rtol=1e-4)


def test_a_pixel_scale_is_required_only_for_float_networks(folder: Path, floats: Path) -> None:
    with pytest.raises(PixelScaleMissing, match="takes float32"):
        TfliteBackbone(floats, input_size=INPUT_SIZE)
    with pytest.raises(ValueError, match="takes uint8"):
        TfliteBackbone(folder / "tflite" / "backbone.tflite", input_size=INPUT_SIZE, pixel_scale=PixelScale((0,), (1,)))


@pytest.mark.parametrize(
    ("mean", "deviation"), [((0,), (0,)), ((1, 2), (1,)), ((), (1,)), ((0,), (-1,)), ((float("nan"),), (1,))]
)
def test_an_invalid_pixel_scale_is_refused(mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="pixel"):
        PixelScale(mean, deviation)


def test_a_bundle_keeps_its_pixel_scale(folder: Path, floats: Path, tmp_path: Path) -> None:
    made = open_bundle(folder / "tflite")
    content = BundleContent(floats, folder / "keras" / "head.keras", made.words, noise(2))
    scale = PixelScale((127.5, 127.5, 127.4), (127.5,))
    write_bundle("floats", content, replace(made.manifest, pixel_scale=scale), tmp_path / "floats")
    bundle = open_bundle(tmp_path / "floats")
    assert bundle.manifest.pixel_scale == scale
    np.testing.assert_allclose(bundle.network(noise(4)), made.network(noise(4)), atol=0.01)
    text = (tmp_path / "floats" / "manifest.json").read_text()
    (tmp_path / "floats" / "manifest.json").write_text(text.replace("127.4", "127.4, 1"))
    with pytest.raises(BundleDamaged, match="no valid pixel scale"):
        open_bundle(tmp_path / "floats")


def test_an_inner_tensor_gives_its_own_numbers(folder: Path) -> None:
    network = keras.models.load_model(folder / "keras" / "backbone.keras", compile=False)
    pooled = keras.Model(network.inputs[0], network.layers[-2].output)
    file = folder / "tflite" / "backbone.tflite"
    interpreter = Interpreter(model_path=str(file))
    [name] = [each["name"] for each in interpreter.get_tensor_details() if each["name"].endswith("AvgPool")]
    backbone = TfliteBackbone(file, input_size=INPUT_SIZE, feature_layer=name)
    expected = pooled(noise(4)).numpy().reshape(4, -1)
    assert backbone.feature_dimension == expected.shape[1]
    np.testing.assert_allclose(backbone(noise(4)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"inputSize": 32', '"inputSize": 48', "not uint8 pixels"),
        ('"inputSize"', '"featureLayer": "nothing", "inputSize"', "no tensor 'nothing'"),
        ('"tfliteFile": "backbone.tflite"', '"tfliteFile": "words.npy"', "does not describe a bundle"),
    ],
)
def test_a_manifest_that_contradicts_the_file_is_refused(
    folder: Path, tmp_path: Path, old: str, new: str, why: str
) -> None:
    bundle = Path(shutil.copytree(folder / "tflite", tmp_path / "bundle"))
    text = (bundle / "manifest.json").read_text()
    assert old in text
    (bundle / "manifest.json").write_text(text.replace(old, new))
    with pytest.raises(BundleDamaged, match=why):
        open_bundle(bundle)


def test_an_invalid_network_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "backbone.tflite").write_bytes(b"TFL3" * 100)
    with pytest.raises((ValueError, RuntimeError)):
        TfliteBackbone(tmp_path / "backbone.tflite", input_size=INPUT_SIZE)


def test_a_manifest_is_read_as_it_was_written(folder: Path) -> None:
    manifest = peek(folder / "tflite")
    assert (manifest.backbone, manifest.feature_layer) == ("backbone.tflite", "")
    assert "backbone.tflite" in {file.name for file in manifest.files}


def test_mobilenets_output_is_the_softmax_of_its_logits(mobilenet: Path) -> None:
    logits = TfliteBackbone(mobilenet, input_size=224, feature_layer=LOGITS)(noise(3, 224))
    assert logits.shape == (3, 1001)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = TfliteBackbone(mobilenet, input_size=224)(noise(3, 224))
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), probabilities, atol=1 / 256)


def test_mobilenet_knows_a_photo(mobilenet: Path) -> None:
    pixels = decode((SHARED_DATA / "photos" / "n01443537_goldfish.jpg").read_bytes(), size=224).pixels
    [logits] = TfliteBackbone(mobilenet, input_size=224, feature_layer=LOGITS)(pixels[np.newaxis])
    labels = (mobilenet.parent / "imagenet_labels.txt").read_text().splitlines()
    assert "goldfish" in labels[int(logits.argmax())]
