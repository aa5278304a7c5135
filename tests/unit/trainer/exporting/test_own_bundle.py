"""A user's own bundle, by the commands words, features, fit, export and evaluate; and their errors."""

from __future__ import annotations

import json
import re
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from model.bundle.reading import open_bundle
from model.networks.pixel_scale import PixelScale
from tests.own_bundle import CHANNELS, CLASSES, SIZE, done, make_own_bundle, run
from trainer.errors import BundleUnsearchable
from trainer.exporting.measuring import Measured
from trainer.exporting.smoke_search import smoke_search
from trainer.features.feature_set import read_feature_set
from trainer.labels.class_words import write_class_words


# One run for the module: it takes seconds, and every test only reads what it made.
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "export.txt").write_text(make_own_bundle(folder))
    return folder


def test_an_unreadable_image_is_listed_with_why(folder: Path) -> None:
    listed = (folder / "features" / "unreadable.txt").read_text()
    assert listed.startswith("red/broken.png\tThe bytes are not a supported image: ")
    assert listed.count("\n") == 1


def features(folder: Path, tmp_path: Path, *arguments: object) -> tuple[int, str, str]:
    backbone = ("--backbone", folder / "backbone.keras", "--input-size", SIZE)
    code, out, error = run("features", *arguments, *backbone, "--out", tmp_path / "out", "--cache", tmp_path / "caches")
    return code, " ".join(out.split()), error


def test_an_image_on_both_sides_is_refused_before_computing(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "unseen", tmp_path / "val")
    shutil.copy(folder / "training" / "blue" / "3.png", tmp_path / "val" / "blue" / "copy.png")
    code, _, error = features(folder, tmp_path, folder / "training", "--validation", tmp_path / "val")
    assert code == 1
    assert "blue/3.png (training) and blue/copy.png (validation)" in error
    assert not (tmp_path / "caches").exists()
    (tmp_path / "val" / "blue" / "copy.png").unlink()
    code, out, _ = features(folder, tmp_path, folder / "training", "--validation", tmp_path / "val")
    assert code == 0
    assert "60 images of 3 classes" in out
    assert "24 for validation" in out


def test_a_class_with_too_few_readable_images_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "unseen", tmp_path / "images")
    for number in range(1, 8):
        (tmp_path / "images" / "red" / f"{number}.png").write_bytes(f"no image {number}".encode())
    code, _, error = features(folder, tmp_path, tmp_path / "images")
    assert code == 1
    assert "'red' has fewer than two images that can be read" in error
    assert len((tmp_path / "out" / "unreadable.txt").read_text().splitlines()) == 7


def test_a_list_of_several_labels_and_voc_become_feature_sets(folder: Path, tmp_path: Path) -> None:
    lines = [f"{folder}/unseen/{name}/{number}.png,{name}|all" for name in CHANNELS for number in range(8)]
    (tmp_path / "list.csv").write_text("path,labels\n" + "\n".join(lines) + "\n")
    code, out, error = features(folder, tmp_path, tmp_path / "list.csv", "--validation-share", 0)
    assert code == 0, error
    assert "24 images of 4 classes" in out
    assert "0 for validation" in out
    data = read_feature_set(tmp_path / "out" / "training.npz")
    assert data.labels.tolist() == [[3, 0]] * 8 + [[2, 0]] * 8 + [[1, 0]] * 8

    for name in ("Annotations", "JPEGImages"):
        (tmp_path / "voc" / name).mkdir(parents=True)
    for name in CHANNELS:
        for number in range(8):
            shown = f"<object><name>{name}</name></object>" if number else ""
            (tmp_path / "voc" / "Annotations" / f"{name}{number}.xml").write_text(f"<annotation>{shown}</annotation>")
            shutil.copy(
                folder / "unseen" / name / f"{number}.png", tmp_path / "voc" / "JPEGImages" / f"{name}{number}.jpg"
            )
    code, out, error = features(folder, tmp_path, tmp_path / "voc", "--validation-share", 0)
    assert code == 0, error
    assert "21 images of 3 classes" in out
    assert "3 images were left out" in out


def test_after_a_full_disk_the_same_command_continues(folder: Path, tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limit[1]))
    try:
        code, _, error = features(folder, tmp_path, folder / "training")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert code == 1
    assert "What was computed before is kept" in error.splitlines()[-1]
    assert features(folder, tmp_path, folder / "training")[0] == 0


def test_the_bundle_opens_with_its_figures_in_the_manifest(folder: Path) -> None:
    manifest = open_bundle(folder / "bundle").manifest
    assert manifest.metrics["hit@1"] == 1.0
    assert manifest.metrics["images"] == 24
    assert manifest.feature_dimension == 3
    assert manifest.display_name == "Colours"
    assert manifest.calibration.text_to_image.slope > 0


def test_searches_are_shown_before_the_bundle_is_called_done(folder: Path) -> None:
    output = (folder / "export.txt").read_text()
    for word, color in (("tomato", "red"), ("sea", "blue"), ("leaf", "green")):
        assert len(re.findall(rf"│ {color}/\d\.png \({word}\) [01]\.\d\d ", output)) == 3
    assert re.search(r"│ red/0\.png +│ (tomato|fruit) [01]\.\d\d ", output)
    assert "hit@1 of the labels' words is 1.000, by chance 0.333" in output
    assert "Warning" not in output
    assert output.splitlines()[-1].startswith("colors@sha256:")


def export_with_head(
    folder: Path, tmp_path: Path, kernel: float, bias: float, width: int = 300
) -> tuple[int, str, str]:
    head = keras.Sequential([keras.Input((3,)), keras.layers.Dense(width)])
    head.layers[0].set_weights([np.full((3, width), kernel, np.float32), np.full(width, bias, np.float32)])
    head.save(tmp_path / "head.keras")
    code, out, error = run(
        "export", "--backbone", folder / "backbone.keras", "--input-size", SIZE, "--head", tmp_path / "head.keras",
        "--words", folder / "words", "--labels", folder / "labels.json", "--images", folder / "unseen",
        "--out", tmp_path / "made" / "bundle",
    )  # fmt: skip
    return code, " ".join(out.split()), error


def test_a_head_of_another_dimension_is_refused_before_reading(folder: Path, tmp_path: Path) -> None:
    code, out, error = export_with_head(folder, tmp_path, kernel=1, bias=1, width=50)
    assert (code, out) == (1, "")
    assert "gives vectors of 50 numbers, and the words have 300 each" in error
    assert not (tmp_path / "made").exists()


def test_searches_no_better_than_chance_give_a_warning(folder: Path, tmp_path: Path) -> None:
    code, out, error = export_with_head(folder, tmp_path, kernel=0, bias=1)
    assert code == 0, error
    assert "Warning: searches on this bundle are no better than chance" in out
    open_bundle(tmp_path / "made" / "bundle")


@pytest.mark.parametrize(("bias", "message"), [(float("nan"), "not numbers"), (0.0, "zero or not numbers")])
def test_an_unsearchable_bundle_is_refused_and_leaves_nothing(
    folder: Path, tmp_path: Path, bias: float, message: str
) -> None:
    code, _, error = export_with_head(folder, tmp_path, kernel=0, bias=bias)
    assert code == 1
    assert message in error.splitlines()[-1]
    assert not (tmp_path / "made").exists() or not list((tmp_path / "made").iterdir())


def test_smaller_weights_are_shown_beside_those_given_and_serve(folder: Path, tmp_path: Path) -> None:
    out = done(
        "export", "--backbone", folder / "backbone.keras", "--input-size", SIZE,
        "--head", folder / "run" / "head.keras", "--words", folder / "words", "--labels", folder / "labels.json",
        "--images", folder / "unseen", "--out", tmp_path / "bundle", "--weights", "int8",
    )  # fmt: skip
    rows = {cells[1].strip(): cells[2:4] for line in out.splitlines() if len(cells := line.split("│")) == 5}
    assert [float(cell) for cell in rows["hit@1"]] == [1, 1]
    assert out.startswith("What smaller weights cost")
    assert float(rows["cosine to the vector as given, worst"][1]) > 0.98
    assert all(float(cell) > 0 for cell in rows["ms a picture alone, on this machine"])
    manifest = open_bundle(tmp_path / "bundle").manifest
    assert (manifest.backbone, manifest.command) == ("backbone.tflite", "python -m trainer export --weights int8")


def test_a_float_tflite_backbone_needs_a_pixel_scale(folder: Path, tmp_path: Path) -> None:
    numbers = keras.Input((SIZE, SIZE, 3))
    network = keras.Model(numbers, keras.layers.GlobalAveragePooling2D()(numbers))
    (tmp_path / "net.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    backbone = ("--backbone", tmp_path / "net.tflite")
    out = ("--out", tmp_path / "out", "--cache", tmp_path / "caches")
    code, _, error = run("features", folder / "unseen", *backbone, *out)
    assert code == 1
    assert "--pixel-mean 127.5 --pixel-std 127.5 for −1…1" in error
    code, _, error = run("features", folder / "unseen", *backbone, *out, "--pixel-mean", "0,0")
    assert code == 1
    assert "are not a scale" in error
    scale = ("--pixel-mean", "127.5", "--pixel-std", "127.5,127.5,127.5")
    done("features", folder / "unseen", *backbone, *out, *scale)
    done(
        "export", *backbone, "--head", folder / "run" / "head.keras", "--words", folder / "words",
        "--labels", folder / "labels.json", "--images", folder / "unseen", "--out", tmp_path / "bundle", *scale,
    )  # fmt: skip
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest.pixel_scale == PixelScale((127.5,), (127.5,) * 3)
    assert bundle.manifest.metrics["hit@1"] == 1
    pixels = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
    expected = open_bundle(folder / "bundle").network(pixels)
    np.testing.assert_allclose(bundle.network(pixels), expected, atol=1e-4)


def test_words_unknown_to_the_embedder_are_named_or_refused(folder: Path) -> None:
    bundle = open_bundle(folder / "bundle")
    pixels = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)
    measured = Measured(pixels, np.arange(6)[:, None] % 3, CLASSES)
    words = tuple(word.title() if word == "sea" else word for word in bundle.words.words)
    searches = smoke_search(replace(bundle, words=replace(bundle.words, words=words)), measured)
    assert searches.unknown == ("sea",)
    assert list(searches.by_word) == ["tomato", "leaf"]
    words = tuple(word.title() for word in bundle.words.words)
    with pytest.raises(BundleUnsearchable, match="--lowercase"):
        smoke_search(replace(bundle, words=replace(bundle.words, words=words)), measured)


def test_evaluate_reports_for_people_and_for_machines(folder: Path) -> None:
    arguments = ("evaluate", folder / "unseen", "--bundle", folder / "bundle", "--labels", folder / "labels.json")
    measured = json.loads(done(*arguments, "--json"))
    model = open_bundle(folder / "bundle").manifest.id
    assert measured["model"] == model
    assert measured["metrics"]["hit@1"] == 1.0
    kinds = measured["bundles"][model]["queries"]["kind"]
    assert {query: each["precision@10"] for query, each in kinds.items()} == {"fruit": 1.0, "water": 1.0, "plant": 1.0}
    table = done(*arguments)
    assert "24 images of 3 classes" in table
    assert "1.000" in table


def test_a_report_has_baselines_other_bundles_plots_and_a_card(folder: Path, tmp_path: Path) -> None:
    write_class_words(tmp_path / "unseen.json", CLASSES[:2])
    shutil.copytree(folder / "unseen", tmp_path / "images")
    # One picture of the training is among those to be measured.
    shutil.copy(folder / "training" / "red" / "0.png", tmp_path / "images" / "red" / "seen.png")
    other = tmp_path / "other"
    backbone = ("--backbone", folder / "backbone.keras", "--input-size", SIZE)
    labels = ("--labels", folder / "labels.json")
    done(
        "export", *backbone, "--head", folder / "run" / "head.keras", "--words", folder / "words", *labels,
        "--images", folder / "unseen", "--out", other, "--name", "other",
    )  # fmt: skip
    out = done(
        "evaluate", tmp_path / "images", "--bundle", folder / "bundle", *labels,
        "--training", folder / "training", "--training-cap", 10, "--unseen", tmp_path / "unseen.json",
        "--compare", other, "--wordnet", tmp_path / "nowhere", "--out", tmp_path / "report",
    )  # fmt: skip
    assert "…" not in out, "a figure's name is cut off"
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["data"]["trained_on"] == 1
    assert report["data"]["images"] == 24
    assert report["data"]["training"] == 30
    columns = {column["name"]: column["metrics"] for column in report["columns"]}
    own, other_model = report["model"], open_bundle(other).manifest.id
    assert list(columns) == [own, other_model, "chance", "softmax", "ConSE", "nearest class mean"]
    assert columns[own]["hit@1"] == columns[other_model]["hit@1"] == 1
    assert columns["softmax"]["hit@1"] == columns["nearest class mean"]["hit@1"] == 1
    assert columns["chance"]["hit@1"] == pytest.approx(1 / 3)
    assert columns[own]["unseen_hit@1"] == 1
    page = (tmp_path / "report" / "report.md").read_text()
    assert f"| {own} | {other_model} | chance |" in page
    for name in ("calibration.png", "hits.png", "similarities.png", "hubs.png"):
        assert f"({name})" in page
        with Image.open(tmp_path / "report" / name) as plot:
            assert plot.width > 800

    done("card", folder / "bundle", "--report", tmp_path / "report" / "report.json", "--out", tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text().startswith("# Colours\n")
    assert (folder / "bundle" / "card.md").read_text() == (tmp_path / "card.md").read_text()


def test_a_card_is_of_the_bundle_that_was_evaluated(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"version": 1, "model": "other", "bundles": {}}')
    code, _, error = run("card", folder / "bundle", "--report", tmp_path / "report.json", "--out", tmp_path / "card.md")
    assert code == 1
    assert "Evaluate this bundle first" in error
    code, _, error = run("card", folder / "bundle", "--report", tmp_path / "absent.json", "--out", tmp_path / "card.md")
    assert code == 1
    assert "python -m trainer evaluate" in error


def test_a_teacher_wants_names_for_its_outputs(folder: Path) -> None:
    code, _, error = run(
        "evaluate", folder / "unseen", "--bundle", folder / "bundle", "--teacher", folder / "net.tflite"
    )
    assert code == 2
    assert "--teacher-labels" in error


def test_evaluate_takes_a_jsonl_of_paths_and_labels(folder: Path) -> None:
    files = [(name, number) for name in CHANNELS for number in range(4)]
    lines = [json.dumps({"file": f"unseen/{name}/{number}.png", "label": name}) for name, number in files]
    (folder / "truth.jsonl").write_text("\n".join(lines) + "\n")
    arguments = ("--bundle", folder / "bundle", "--labels", folder / "labels.json", "--json")
    assert json.loads(done("evaluate", folder / "truth.jsonl", *arguments))["metrics"]["images"] == 12


def test_images_of_several_labels_are_measured_by_each_of_them(folder: Path, tmp_path: Path) -> None:
    shown = {"red": "red|green", "green": "green", "blue": "blue"}
    for source in ("unseen", "training"):
        lines = [f"{folder}/{source}/{name}/{number}.png,{shown[name]}" for name in CHANNELS for number in range(8)]
        (tmp_path / f"{source}.csv").write_text("path,labels\n" + "\n".join(lines) + "\n")
    (tmp_path / "training.csv").write_text((tmp_path / "training.csv").read_text().replace("red/0.png", "red/9.png"))
    labels = ("--labels", folder / "labels.json")
    arguments = ("--bundle", folder / "bundle", *labels, "--training", tmp_path / "training.csv", "--json")
    measured = json.loads(done("evaluate", tmp_path / "unseen.csv", *arguments))
    assert (measured["metrics"]["images"], measured["metrics"]["hit@1"]) == (24, 1)
    [found] = measured["bundles"].values()
    relevant = {word: each["relevant"] for word, each in found["queries"]["label"].items()}
    assert relevant == {"tomato": 8, "sea": 8, "leaf": 16}
    columns = {column["name"]: column["metrics"] for column in measured["columns"]}
    assert columns["chance"]["hit@1"] == pytest.approx((8 * 2 + 16) / 24 / 3)
    assert columns["softmax"]["hit@1"] == 1
    out = done(
        "export", "--backbone", folder / "backbone.keras", "--input-size", SIZE,
        "--head", folder / "run" / "head.keras", "--words", folder / "words", *labels,
        "--images", tmp_path / "unseen.csv", "--out", tmp_path / "bundle",
    )  # fmt: skip
    assert "left out" not in out
    assert "(tomato, leaf)" in out
    assert open_bundle(tmp_path / "bundle").manifest.metrics["images"] == 24


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
    assert "is not a bundle" in error
    assert "Traceback" not in error
