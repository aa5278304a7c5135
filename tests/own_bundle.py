"""A bundle made by the trainer's commands from generated images of three colours. Takes about 15 s to make."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from PIL import Image
from typer.testing import CliRunner

from trainer.cli import app
from trainer.labels.class_words import ClassWords, write_class_words

SIZE = 16
CLASSES = (
    ClassWords("red", "tomato", ("fruit",)),
    ClassWords("blue", "sea", ("water",)),
    ClassWords("green", "leaf", ("plant",)),
)
CHANNELS = {"red": 0, "green": 1, "blue": 2}
WORDS = (
    "the",
    "tomato",
    "fruit",
    "sea",
    "water",
    "leaf",
    "plant",
    "a\x85b",
    *(f"word{number}" for number in range(60)),
)


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def done(*arguments: object) -> str:
    code, out, error = run(*arguments)
    assert code == 0, error
    return out


def draw(folder: Path, each: int, seed: int) -> Path:
    random = np.random.default_rng(seed)
    for name, channel in CHANNELS.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            pixels = random.integers(0, 90, (24, 32, 3), dtype=np.uint8)
            pixels[..., channel] = 200
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def write_glove(file: Path, dimension: int, words: tuple[str, ...] = WORDS) -> Path:
    random = np.random.default_rng(1)
    lines = (f"{word} {' '.join(f'{value:.4f}' for value in random.normal(size=dimension))}\n" for word in words)
    file.write_text("".join(lines))
    return file


def make_own_bundle(folder: Path, dimension: int = 300) -> str:
    """Make words, pictures, features, a run and `bundle` in the folder; return the output of `export`."""
    write_glove(folder / "glove.txt", dimension)
    write_class_words(folder / "labels.json", CLASSES)
    keras.utils.set_random_seed(0)
    pixels = keras.Input((None, None, 3), dtype="uint8")
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(pixels))
    keras.Model(pixels, means).save(folder / "backbone.keras")
    training = draw(folder / "training", 12, seed=2)
    (training / "red" / "broken.png").write_bytes(b"no image")
    draw(folder / "unseen", 8, seed=3)

    labels = ("--labels", folder / "labels.json")
    backbone = ("--backbone", folder / "backbone.keras", "--input-size", SIZE)
    done("words", "convert", folder / "glove.txt", "--out", folder / "words")
    out = done("features", training, *backbone, "--out", folder / "features", "--cache", folder / "cache")
    assert "36 images of 3 classes" in out
    assert "left out: red/broken.png" in out
    features = ("--features", folder / "features" / "training.npz")
    done(
        "fit", *features, "--words", folder / "words", *labels, "--run", folder / "run",
        "--loss", "joint", "--foreign-words", 20, "--epochs", 60, "--batch-size", 8, "--learning-rate", 0.02,
    )  # fmt: skip
    return done(
        "export", *backbone, "--head", folder / "run" / "head.keras", "--words", folder / "words", *labels,
        "--images", folder / "unseen", "--out", folder / "bundle", "--name", "colors", "--title", "Colours",
    )  # fmt: skip
