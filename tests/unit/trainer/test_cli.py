"""The command line, from outside: files in, files and sentences out."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trainer.cli import app
from trainer.features.cache import CacheSpec, FeatureCache
from trainer.features.feature_set import FeatureSet, read_feature_set, write_feature_set
from trainer.fitting.head import project
from trainer.keras_files import load_network
from trainer.labels.class_words import ClassWords, write_class_words
from trainer.words.word_space import read_word_space

WORDS = ("the", "poodle", "dog", "car", "vehicle", "said")
NUMBERS = " ".join(["1"] * 50)
CLASSES = (ClassWords("n1", "poodle", ("dog",)), ClassWords("n2", "car", ("vehicle",)))


@pytest.fixture
def glove(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    lines = (f"{word} {' '.join(f'{value:.4f}' for value in random.normal(size=50))}\n" for word in WORDS)
    path = tmp_path / "glove.txt"
    path.write_text("".join(lines))
    return path


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """Forty images in two clusters, as `features` leaves them."""
    random = np.random.default_rng(1)
    labels = np.arange(40) % 2
    values = random.normal(size=(2, 5))[labels][:, None] + 0.1 * random.normal(size=(40, 2, 5))
    keys = [hashlib.sha256(bytes([number])).digest() for number in range(40)]
    with FeatureCache(tmp_path / "features", CacheSpec("test", ("plain", "mirrored"), 5)) as cache:
        cache.append(keys, values)
        data = FeatureSet(cache.memory_map(), cache.rows_of(keys), labels[:, None], ("n1", "n2"))
    write_feature_set(tmp_path / "features" / "train.npz", data, tmp_path / "features")
    return tmp_path / "features" / "train.npz"


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_words_makes_a_vocabulary(tmp_path: Path, glove: Path) -> None:
    code, out, _ = run("words", "convert", glove, "--out", tmp_path / "words", "--limit", 4)
    assert (code, read_word_space(tmp_path / "words").words) == (0, WORDS[:4])
    assert "4 words" in out


def test_words_names_a_malformed_line_and_exits_1(tmp_path: Path, glove: Path) -> None:
    glove.write_text(f"dog {NUMBERS}\ncat 1\n")
    code, _, error = run("words", "convert", glove, "--out", tmp_path / "words")
    assert code == 1
    assert "line 2" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("dimension", [49, 1_025])
def test_words_of_too_few_or_many_numbers_are_refused_at_once(tmp_path: Path, dimension: int) -> None:
    numbers = " ".join(["1"] * dimension)
    (tmp_path / "glove.txt").write_text(f"dog {numbers}\ncat {numbers}\ndamaged\n")
    code, _, error = run("words", "convert", tmp_path / "glove.txt", "--out", tmp_path / "words")
    assert code == 1
    assert f"have {dimension:,} numbers each, but a model's have 50 to 1,024" in error
    assert list((tmp_path / "words").iterdir()) == []


@pytest.mark.parametrize("dimension", [49, 1_025])
def test_fit_refuses_words_of_too_few_or_many_numbers(tmp_path: Path, features: Path, dimension: int) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "words.txt").write_text("".join(f"{word}\n" for word in WORDS))
    np.save(tmp_path / "words" / "words.npy", np.ones((len(WORDS), dimension), np.float16))
    code, _, error = run("fit", "--features", features, "--words", tmp_path / "words", "--run", tmp_path / "run")
    assert code == 1
    assert f"have {dimension:,} numbers each" in error
    assert not (tmp_path / "run").exists()


def test_words_converts_a_member_of_a_zip_in_lower_case(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "vectors.zip", "w") as archive:
        archive.writestr("small.txt", f"Dog {NUMBERS}\ndog 2 {NUMBERS[2:]}\n")
        archive.writestr("other.txt", f"Cat {NUMBERS}\n")
    arguments = ("words", "convert", tmp_path / "vectors.zip", "--out", tmp_path / "words", "--lowercase")
    assert run(*arguments)[0] == 1
    code, out, _ = run(*arguments, "--member", "small.txt")
    assert (code, read_word_space(tmp_path / "words").words) == (0, ("dog",))
    assert "1 words" in out


def test_words_fetches_by_name_from_a_mirror_and_reports_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror, cache = tmp_path / "mirror", tmp_path / "cache"
    mirror.mkdir()
    (mirror / "cc.en.300.vec.gz").write_bytes(gzip.compress(f"2 50\nthe {NUMBERS}\ndog 2 {NUMBERS[2:]}\n".encode()))
    monkeypatch.setenv("SEMSEARCH_WORDS_MIRROR", str(mirror))
    code, out, _ = run("words", "fetch", "cc.en.300", "--out", cache)
    assert code == 0
    assert "was not checked" in out
    assert f"python -m trainer words convert {cache / 'cc.en.300.vec.gz'} --out words" in out
    assert run("words", "convert", cache / "cc.en.300.vec.gz", "--out", tmp_path / "words")[0] == 0
    code, out, _ = run("words", "fetch", "cc.en.300", "--out", cache)
    assert "has the known SHA-256" in out


def test_words_fetch_refuses_another_file_and_an_unknown_name(tmp_path: Path) -> None:
    (tmp_path / "glove.6B.zip").write_bytes(b"other")
    code, _, error = run("words", "fetch", "glove.6B.300d", "--mirror", tmp_path, "--out", tmp_path / "cache")
    assert code == 1
    assert "its SHA-256 is not 617afb2f" in error
    code, _, error = run("words", "fetch", "glove.7B", "--out", tmp_path / "cache")
    assert code == 1
    assert "There are: glove.6B.50d" in error


def test_fit_trains_a_head_that_puts_images_on_their_words(tmp_path: Path, glove: Path, features: Path) -> None:
    run("words", "convert", glove, "--out", tmp_path / "words")
    write_class_words(tmp_path / "labels.json", CLASSES)
    arguments = ("--words", tmp_path / "words", "--labels", tmp_path / "labels.json", "--run", tmp_path / "run")
    code, _, error = run(
        "fit", "--features", features, *arguments, "--epochs", 60, "--batch-size", 8, "--learning-rate", 0.02
    )
    assert code == 0, error
    data, space = read_feature_set(features), read_word_space(tmp_path / "words")
    vectors = project(load_network(tmp_path / "run" / "head.keras"), data.take(np.arange(40)))
    own = space.vectors[[WORDS.index("poodle"), WORDS.index("car")]].astype(np.float32)
    assert np.mean(np.argmax(vectors @ own.T, axis=1) == data.labels[:, 0]) == 1
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["epochs"] == 60


def test_fit_names_a_class_whose_word_is_not_in_the_vocabulary(tmp_path: Path, glove: Path, features: Path) -> None:
    run("words", "convert", glove, "--out", tmp_path / "words")
    code, _, error = run("fit", "--features", features, "--words", tmp_path / "words", "--run", tmp_path / "run")
    assert code == 1
    assert "no vector for 2 labels" in error


def test_fit_takes_synonyms_for_classes_without_a_vector(tmp_path: Path, glove: Path, features: Path) -> None:
    run("words", "convert", glove, "--out", tmp_path / "words")
    (tmp_path / "synonyms.json").write_text('{"n1": "poodle dog", "n2": "car"}')
    code, _, error = run(
        "fit", "--features", features, "--words", tmp_path / "words", "--run", tmp_path / "run",
        "--synonyms", tmp_path / "synonyms.json", "--epochs", 1,
    )  # fmt: skip
    assert code == 0, error


@pytest.mark.parametrize("missing", ["features", "words"])
def test_fit_says_what_is_missing(tmp_path: Path, glove: Path, features: Path, missing: str) -> None:
    run("words", "convert", glove, "--out", tmp_path / "words")
    places = {"features": features, "words": tmp_path / "words"} | {missing: tmp_path / "nowhere"}
    code, _, error = run("fit", "--features", places["features"], "--words", places["words"], "--run", tmp_path / "run")
    assert code == 1
    assert f"python -m trainer {missing}" in error


def test_an_option_out_of_range_exits_2(tmp_path: Path) -> None:
    code, _, error = run("fit", "--features", tmp_path, "--words", tmp_path, "--run", tmp_path, "--epochs", 0)
    assert code == 2
    assert "--epochs" in error
