"""A tiny bundle for tests: a random network and a few words whose vectors are fixed by a seed. Made in about 2 s."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from model.bundle.manifest import Calibration, Logistic, Manifest
from model.bundle.reading import WordTable
from model.bundle.writing import BundleContent, write_bundle, write_recipe
from model.images import Resize

INPUT_SIZE = 32
DIMENSION = 300
WORDS = (
    "the", "and", "said", "car", "dog", "house", "street", "sports", "cat", "red", "sea", "boat", "cats", "tree",
    "sofa", "bird", "beach", "horse", "banana", "sunset", "goldfish", "sports car", "golden retriever", "t-shirt",
)  # fmt: skip
UNSEEN = frozenset({"the", "and", "said", "red"})


def write_test_bundle(parent: Path, *, seed: int = 0, name: str = "test", tflite: bool = False) -> Path:
    """Writes a bundle to `parent / name` and returns its folder. Another seed gives another model, with other words.

    With `tflite` the same network is kept as a .tflite file, which takes some seconds to make.
    """
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(len(WORDS), DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    taggable = np.array([word not in UNSEEN for word in WORDS])
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((INPUT_SIZE, INPUT_SIZE, 3), dtype="uint8")
    features = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 127.5, -1)(pixels)))
    width = features.shape[-1]
    with tempfile.TemporaryDirectory() as folder:
        backbone, head = Path(folder) / "backbone.keras", Path(folder) / "head.keras"
        network = keras.Model(pixels, features)
        if tflite:
            backbone = backbone.with_suffix(".tflite")
            backbone.write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
        else:
            network.save(backbone)
        keras.Sequential([keras.Input((width,)), keras.layers.Dense(DIMENSION)]).save(head)
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
                feature_dimension=width,
                dimension=DIMENSION,
                word_count=0,
                calibration=Calibration(Logistic(8, -2), Logistic(8, -2), Logistic(6, -3), 0.0, 0.0),
                files=(),
                create_time=datetime(2026, 1, 1, tzinfo=UTC),
            ),
            parent / name,
        )
    return parent / name


def write_test_recipe(recipes: Path, bundle: Path, url: str, *, name: str = "small") -> Path:
    """Writes a recipe to `recipes / name` that fetches the bundle's head from `url`, and returns its folder."""
    write_recipe(bundle, recipes / name, {"head.keras": url}, words_from="test@sha256:0")
    return recipes / name
