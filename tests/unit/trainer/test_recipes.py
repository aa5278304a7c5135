"""The VGG16 recipe with untrained weights on a few drawn pictures: features, head, evaluation."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trainer.backbones.building import build_backbone
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.truth import Truth
from trainer.features.cache import CacheSpec, FeatureCache
from trainer.features.computing import Extractor, compute_features
from trainer.fitting.head import fit_head, project
from trainer.labels.class_words import ClassWords, Vocabulary
from trainer.labels.targets import label_space_of
from trainer.recipes import vgg16
from trainer.runs import Run
from trainer.words import convert_words, read_word_space

SIZE = 224
CLASSES = (ClassWords("red", "tomato", ("fruit",)), ClassWords("blue", "sea", ("water",)))


@dataclass(frozen=True)
class Picture:
    content: bytes
    labels: tuple[str]
    key: str = "drawn"


def pictures(each: int) -> list[Picture]:
    random = np.random.default_rng(0)
    drawn = []
    for label, channel in (("red", 0), ("blue", 2)):
        for _ in range(each):
            pixels = random.integers(0, 80, (32, 32, 3), dtype=np.uint8)
            pixels[..., channel] = 230
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            drawn.append(Picture(file.getvalue(), (label,)))
    return drawn


def decode(content: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB").resize((SIZE, SIZE)))


@pytest.fixture
def vocabulary(tmp_path: Path) -> Vocabulary:
    random = np.random.default_rng(1)
    lines = (
        f"{word} {' '.join(f'{value:.4f}' for value in random.normal(size=300))}\n"
        for word in ("the", "tomato", "fruit", "sea", "water")
    )
    (tmp_path / "glove.txt").write_text("".join(lines))
    convert_words(tmp_path / "glove.txt", tmp_path / "words")
    return Vocabulary(read_word_space(tmp_path / "words"))


def test_the_recipe_learns_from_fc2_features_to_word_vectors(tmp_path: Path, vocabulary: Vocabulary) -> None:
    backbone = build_backbone(vgg16.BACKBONE, weights="random")
    extractor = Extractor(
        "vgg16-untrained",
        4096,
        decode,
        lambda pixels: np.asarray(backbone.predict(pixels, batch_size=4, verbose=0)),
        SIZE,
    )
    spec = CacheSpec(extractor.name, ("plain",), extractor.dimension, "float32")
    with FeatureCache(tmp_path / "features", spec) as cache:
        data = compute_features(pictures(5), [each.name for each in CLASSES], extractor, cache, batch_size=4)
    assert data.dimension == 4096
    settings = replace(vgg16.HEAD, epochs=30, batch_size=5, held_out=0.0)
    space = label_space_of(CLASSES, vocabulary, nearest_kinds=0, foreign_words=0)
    head = fit_head(Run(tmp_path / "run", settings), data, space, settings)
    assert [layer.units for layer in head.layers if hasattr(layer, "units")] == [2000, 300]
    truth = Truth(project(head, data.take(np.arange(10))), data.labels, CLASSES)
    everything = np.ones(len(vocabulary.words), dtype=np.bool_)
    assert evaluate(truth, vocabulary, everything, nearest_kinds=0).metrics()["hit@1"] == 1
