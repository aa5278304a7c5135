"""The original recipe whole, by the commands, on a few drawn pictures: from untrained VGG16 to a bundle that opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from model.bundle.reading import open_bundle
from model.images import decode
from trainer import recipes
from trainer.cli import app
from trainer.features.feature_set import read_feature_set
from trainer.fitting.head import project
from trainer.keras_files import load_network
from trainer.words.word_space import read_word_space

RECIPE = Path(recipes.__file__).with_name("vgg16.toml")
CHANNELS = {"tomato": 0, "sea": 2}
WORDS = ("the", *CHANNELS, *(f"word{number}" for number in range(40)))


def done(*arguments: object) -> None:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr


def draw(folder: Path, each: int, seed: int) -> Path:
    random = np.random.default_rng(seed)
    for name, channel in CHANNELS.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            pixels = random.integers(0, 80, (32, 32, 3), dtype=np.uint8)
            pixels[..., channel] = 230
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vgg16")
    random = np.random.default_rng(1)
    lines = (f"{word} {' '.join(f'{value:.5f}' for value in random.normal(size=300))}\n" for word in WORDS)
    (folder / "glove.300d.txt").write_text("".join(lines))
    backbone, words = ("--backbone", folder / "backbone.keras"), ("--words", folder / "words")
    done("backbone", "vgg16", "--weights", "random", "--out", folder / "backbone.keras")
    done("words", "convert", folder / "glove.300d.txt", "--out", folder / "words")
    done(
        "features", draw(folder / "training", 2, seed=2), *backbone, "--out", folder / "features",
        "--validation", draw(folder / "unseen", 4, seed=3), "--no-mirror", "--cache", folder / "cache",
    )  # fmt: skip
    features = ("--features", folder / "features" / "training.npz")
    done("fit", *features, *words, "--run", folder / "run", "--config", RECIPE, "--batch-size", 2)
    done(
        "export", *backbone, "--head", folder / "run" / "head.keras", *words, "--images", folder / "unseen",
        "--out", folder / "bundle", "--name", "vgg16",
    )  # fmt: skip
    return folder


def test_a_head_of_2000_learns_to_map_fc2_to_word_vectors(folder: Path) -> None:
    head = load_network(folder / "run" / "head.keras")
    assert head.input_shape == (None, 4096)
    assert [layer.units for layer in head.layers if hasattr(layer, "units")] == [2000, 300]
    data, space = read_feature_set(folder / "features" / "training.npz"), read_word_space(folder / "words")
    nearest = np.argmax(project(head, data.take(np.arange(len(data)))) @ space.vectors.astype(np.float32).T, axis=1)
    assert [space.words[row] for row in nearest] == [data.names[label] for label in data.labels[:, 0]]


def test_the_bundle_opens_and_gives_the_heads_vectors(folder: Path) -> None:
    opened = open_bundle(folder / "bundle")
    assert opened.manifest.feature_dimension == 4096
    assert opened.manifest.metrics["hit@1"] == 1
    data = read_feature_set(folder / "features" / "training.npz")
    unseen = np.flatnonzero(data.validation)
    expected = project(load_network(folder / "run" / "head.keras"), data.take(unseen))
    files = sorted((folder / "unseen").rglob("*.png"))
    pixels = np.stack([decode(file.read_bytes(), size=opened.manifest.input_size).pixels for file in files])
    np.testing.assert_allclose(opened.network(pixels), expected, atol=2e-3)  # a cache keeps three digits
