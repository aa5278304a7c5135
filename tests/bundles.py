"""A tiny bundle for tests: a random network and a few words with vectors from a seed. Takes about 2 s to make."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from model.bundle.manifest import Calibration, Logistic, Manifest
from model.bundle.reading import WordTable
from model.bundle.writing import BundleContent, write_bundle, write_recipe
from model.images import Resize
from trainer.exporting.weights import write_tflite_head

INPUT_SIZE = 32
SQUARE = 8
FEATURES = (INPUT_SIZE // SQUARE) ** 2 * 3
DIMENSION = 300
WORDS = (
    "the", "and", "said", "car", "dog", "house", "street", "sports", "cat", "red", "sea", "boat", "cats", "tree",
    "sofa", "bird", "beach", "horse", "banana", "sunset", "goldfish", "sports car", "golden retriever", "t-shirt",
)  # fmt: skip
UNSEEN = frozenset({"the", "and", "said", "red"})


def write_test_bundle(parent: Path, *, seed: int = 0, name: str = "test", tflite: bool = False) -> Path:
    """Write a bundle to `parent / name` and return its folder. Another seed gives another model with other words.

    With `tflite` the networks are .tflite files: an embedder that serves those starts in a second, without TensorFlow.
    The first such bundle of a process takes some seconds to make.
    """
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(len(WORDS), DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    taggable = np.array([word not in UNSEEN for word in WORDS])
    suffix = ".tflite" if tflite else ".keras"
    with tempfile.TemporaryDirectory() as folder:
        backbone, head = Path(folder) / f"backbone{suffix}", Path(folder) / f"head{suffix}"
        backbone.write_bytes(_backbone(suffix))
        head.write_bytes(_head(seed, suffix))
        write_bundle(
            name,
            BundleContent(
                backbone,
                head,
                WordTable(WORDS, vectors.astype(np.float16), taggable),
                random.integers(0, 256, (3, INPUT_SIZE, INPUT_SIZE, 3), dtype=np.uint8),
            ),
            Manifest(
                id="",
                display_name="A random space for tests",
                input_size=INPUT_SIZE,
                resize=Resize.CENTER_CROP,
                feature_dimension=FEATURES,
                dimension=DIMENSION,
                word_count=0,
                calibration=Calibration(Logistic(8, -2), Logistic(8, -2), Logistic(6, -3), 0.0, 0.0),
                files=(),
                create_time=datetime(2026, 1, 1, tzinfo=UTC),
            ),
            parent / name,
        )
    return parent / name


@cache
def _backbone(suffix: str) -> bytes:
    """Return a network of the means of squares of 8 × 8 pixels, as a file with that suffix."""
    pixels = keras.Input((INPUT_SIZE, INPUT_SIZE, 3), dtype="uint8")
    means = keras.layers.AveragePooling2D(SQUARE)(keras.layers.Rescaling(1 / 127.5, -1)(pixels))
    network = keras.Model(pixels, keras.layers.Flatten()(means))
    if suffix == ".tflite":
        converted: bytes = tf.lite.TFLiteConverter.from_keras_model(network).convert()
        return converted
    with tempfile.TemporaryDirectory() as folder:
        network.save(Path(folder) / "backbone.keras")
        return (Path(folder) / "backbone.keras").read_bytes()


@cache
def _head(seed: int, suffix: str) -> bytes:
    keras.utils.set_random_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "head.keras"
        keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(DIMENSION)]).save(file)
        if suffix == ".tflite":
            write_tflite_head(file, file.with_suffix(suffix))
        return file.with_suffix(suffix).read_bytes()


def write_test_recipe(recipes: Path, bundle: Path, url: str, *, name: str = "small") -> Path:
    """Write a recipe that fetches the bundle's head from `url` to `recipes / name`, and return its folder."""
    [head] = (file.name for file in bundle.glob("head.*"))
    write_recipe(bundle, recipes / name, {head: url}, words_from="test@sha256:0")
    return recipes / name
