"""A bundle of one's own, by the commands: words, features, fit, export, evaluate; and what goes wrong on the way."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from embedder_service.bundle.reading import open_bundle
from trainer.class_words import ClassWords, write_class_words
from trainer.cli import app

SIZE = 16
CLASSES = (
    ClassWords("red", "tomato", ("fruit",)),
    ClassWords("blue", "sea", ("water",)),
    ClassWords("green", "leaf", ("plant",)),
)
CHANNELS = {"red": 0, "green": 1, "blue": 2}
WORDS = ("the", "tomato", "fruit", "sea", "water", "leaf", "plant", *(f"word{number}" for number in range(60)))


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


# One run for the module: it takes seconds, and every test only reads what it made.
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    random = np.random.default_rng(1)
    lines = (f"{word} {' '.join(f'{value:.4f}' for value in random.normal(size=300))}\n" for word in WORDS)
    (folder / "glove.txt").write_text("".join(lines))
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
    done("words", folder / "glove.txt", "--out", folder / "words")
    out = done("features", training, *backbone, "--out", folder / "features")
    assert "36 images of 3 classes" in out
    assert "1 images were left out" in out
    features = ("--features", folder / "features" / "training.npz")
    done(
        "fit", *features, "--words", folder / "words", *labels, "--run", folder / "run",
        "--loss", "joint", "--foreign-words", 20, "--epochs", 60, "--batch-size", 8, "--learning-rate", 0.02,
    )  # fmt: skip
    out = done(
        "export", *backbone, "--head", folder / "run" / "head.keras", "--words", folder / "words", *labels,
        "--images", folder / "unseen", "--out", folder / "bundle", "--name", "colors", "--title", "Colours",
    )  # fmt: skip
    assert "colors@sha256:" in out
    return folder


def test_the_bundle_opens_with_its_figures_in_the_manifest(folder: Path) -> None:
    manifest = open_bundle(folder / "bundle").manifest
    assert manifest.metrics["hit@1"] == 1.0
    assert manifest.metrics["images"] == 24
    assert manifest.feature_dimension == 3
    assert manifest.display_name == "Colours"
    assert manifest.calibration.text_to_image.slope > 0


def test_evaluate_measures_the_bundle_as_it_serves_for_people_and_for_machines(folder: Path) -> None:
    arguments = ("evaluate", folder / "unseen", "--bundle", folder / "bundle", "--labels", folder / "labels.json")
    measured = json.loads(done(*arguments, "--json"))
    assert measured["model"] == open_bundle(folder / "bundle").manifest.id
    assert measured["metrics"]["hit@1"] == 1.0
    assert measured["kind_queries"] == {"fruit": 1.0, "water": 1.0, "plant": 1.0}
    table = done(*arguments)
    assert "24 images of 3 classes" in table
    assert "1.000" in table


def test_evaluate_takes_a_jsonl_of_paths_and_labels(folder: Path) -> None:
    lines = [json.dumps({"file": f"unseen/{name}/0.png", "label": name}) for name in CHANNELS]
    (folder / "truth.jsonl").write_text("\n".join(lines) + "\n")
    arguments = ("--bundle", folder / "bundle", "--labels", folder / "labels.json", "--json")
    assert json.loads(done("evaluate", folder / "truth.jsonl", *arguments))["metrics"]["images"] == 3


def test_a_bundle_is_never_written_over(folder: Path) -> None:
    code, _, error = run(
        "export", "--backbone", folder / "backbone.keras", "--input-size", SIZE,
        "--head", folder / "run" / "head.keras", "--words", folder / "words", "--labels", folder / "labels.json",
        "--images", folder / "unseen", "--out", folder / "bundle",
    )  # fmt: skip
    assert code == 1
    assert "never changed" in error


def test_what_cannot_be_evaluated_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    write_class_words(tmp_path / "labels.json", CLASSES[:2])
    code, _, error = run(
        "evaluate", folder / "unseen", "--bundle", folder / "bundle", "--labels", tmp_path / "labels.json"
    )
    assert code == 1
    assert "of 'green', which the labels do not have" in error.splitlines()[-1]
    code, _, error = run("evaluate", folder / "unseen", "--bundle", tmp_path)
    assert code == 1
    assert "it is no bundle" in error
    assert "Traceback" not in error
