"""Pictures found by their captions: against sorting by hand, at both ends of the scale, and by the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from tests.bundles import write_test_bundle
from tests.needs import SHARED_DATA, need
from trainer.cli import app
from trainer.evaluation.captions import (
    CaptionVectors,
    WordFigures,
    image_ranks,
    own_caption_ranks,
    retrieval_by_chance,
    retrieval_metrics,
    right_tags_among,
    search_words,
    searchable_words,
    tags_by_chance,
    words_by_chance,
)
from trainer.labels.space import unit_rows

FLICKR = SHARED_DATA / "everyday"


def space(images: int, each: int = 5, noise: float = 0.0, seed: int = 0) -> tuple[CaptionVectors, np.ndarray]:
    """Each picture in a direction of its own, its captions beside it."""
    random = np.random.default_rng(seed)
    vectors = unit_rows(random.normal(size=(images, 64)))
    owners = np.repeat(np.arange(images), each)
    captions = unit_rows(vectors[owners] + noise * random.normal(size=(len(owners), 64)))
    return CaptionVectors(captions, owners, np.ones(len(owners), bool)), vectors


def test_a_perfect_space_finds_everything_first() -> None:
    captions, images = space(600)
    for direction, ranks in (("a", image_ranks(captions, images)), ("b", own_caption_ranks(captions, images))):
        metrics = retrieval_metrics(direction, ranks)
        assert metrics == {f"{direction}_recall@{k}": 1 for k in (1, 5, 10)} | {f"{direction}_median_rank": 1}


def test_a_shuffled_space_comes_to_chance() -> None:
    captions, _ = space(600, noise=9)
    images = space(600, seed=1)[1]
    for own, among, ranks in (
        (np.ones(1, int), 600, image_ranks(captions, images)),
        (np.full(600, 5), 3000, own_caption_ranks(captions, images)),
    ):
        found, chance = retrieval_metrics("", ranks), retrieval_by_chance("", own, among)
        for name, value in chance.items():
            assert found[name] == pytest.approx(value, abs=60 if "rank" in name else 0.02)


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 1_000))
def test_ranks_are_those_of_a_stable_sort(images: int, most: int, seed: int) -> None:
    """Coordinates are small whole numbers, so that many similarities are equal."""
    random = np.random.default_rng(seed)
    pictures = random.integers(-1, 2, (images, 3)).astype(np.float32)
    owners = np.repeat(np.arange(images), random.integers(1, most + 1, images))
    vectors = random.integers(-1, 2, (len(owners), 3)).astype(np.float32)
    answered = random.random(len(owners)) < 0.8
    captions = CaptionVectors(vectors, owners, answered)

    by_caption, by_image = image_ranks(captions, pictures), own_caption_ranks(captions, pictures)
    for row, owner in enumerate(owners):
        order = np.argsort(-(pictures @ vectors[row]), kind="stable").tolist()
        assert by_caption[row] == (order.index(owner) + 1 if answered[row] else images)
    for number in range(images):
        scores = np.where(answered, vectors @ pictures[number], -np.inf)
        order = np.argsort(-scores, kind="stable").tolist()
        own = [order.index(row) + 1 for row in np.flatnonzero((owners == number) & answered)]
        assert by_image[number] == min(own, default=len(owners))


def test_pictures_a_word_is_undecided_for_take_no_part() -> None:
    images = np.array([[1, 0], [0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0, 1]], np.float32)
    shown = np.array([[-1, 0], [1, 1], [0, 1], [1, 0], [0, 1]], np.int8)
    first, second = search_words(("x", "y"), np.eye(2, dtype=np.float32), shown, images)
    assert (first.relevant, first.average_precision) == (2, pytest.approx((1 + 2 / 3) / 2))
    assert second == WordFigures("y", 3, 1.0, pytest.approx((1 + 2 / 3 + 3 / 4) / 3))
    many = np.repeat(np.array([[1, -1, 0, 1]], np.int8), [5], axis=0)
    many[0, 3] = 0
    assert searchable_words(many).tolist() == [0]
    assert search_words((), np.empty((0, 2), np.float32), np.empty((5, 0), np.int8), images) == ()


def test_a_tag_is_right_if_captions_agree_on_it() -> None:
    images, tags = np.eye(3, 8, dtype=np.float32), np.eye(8, dtype=np.float32)
    shown = np.array([[1, 0], [-1, 1], [0, 0]], np.int8)
    assert right_tags_among(tags, {0: 0, 1: 1}, shown, images) == {1: 2 / 3, 5: 2 / 3}
    assert right_tags_among(tags, {1: 0, 0: 1}, shown, images)[1] == 0


def test_chance_is_what_drawing_comes_to() -> None:
    random = np.random.default_rng(0)
    own, among = np.array([1, 5, 5]), 40
    ranks = np.array([random.permutation(among)[:count].min() + 1 for count in own for _ in range(3_000)])
    found = retrieval_metrics("", ranks)
    for name, value in retrieval_by_chance("", own, among).items():
        assert found[name] == pytest.approx(value, abs=1 if "rank" in name else 0.02)
    assert tags_by_chance(np.array([0, 2]), 10) == {"tagged@1": pytest.approx(0.1), "tagged@5": pytest.approx(7 / 18)}
    words = (WordFigures("x", 5, 0, 0), WordFigures("y", 20, 0, 0))
    chance = words_by_chance(words, np.array([100, 80]))
    assert chance["word_precision@10"] == pytest.approx((10 * 5 / 100 / 5 + 20 / 80) / 2)
    assert words_by_chance((), np.empty(0, int)) == {}


@pytest.fixture
def captioned(tmp_path: Path) -> tuple[Path, Path]:
    """Thirty pictures of noise, six of each of five things."""
    random = np.random.default_rng(0)
    folder, lines = tmp_path / "pictures", ["path,caption"]
    folder.mkdir()
    for number in range(30):
        name, thing = f"{number:06}.png", ("dog", "cat", "boat", "house", "tree")[number % 5]
        Image.fromarray(random.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / name)
        lines += [f"{name},A {thing} .", f"{name},The {thing} and a car", f"{name},Qqqq"]
    (folder / "broken.png").write_bytes(b"no picture")
    (tmp_path / "captions.csv").write_text("\n".join([*lines, "broken.png,A dog"]))
    return folder, tmp_path / "captions.csv"


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["evaluate-captions", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_measures_bundles_beside_chance(tmp_path: Path, captioned: tuple[Path, Path]) -> None:
    folder, captions = captioned
    bundles = [write_test_bundle(tmp_path / "bundles", seed=seed, name=f"b{seed}") for seed in range(2)]
    given = (folder, "--captions", captions, "--bundle", bundles[0], "--compare", bundles[1], "--held-out", 1)
    code, out, error = run(*given, "--json")
    assert code == 0, error
    report = json.loads(out)
    assert (report["images"], report["captions"], report["unreadable"]) == (30, 90, ["broken.png"])
    names = [column["name"].partition("@")[0] for column in report["columns"]]
    assert names == ["b0", "b1", "chance"]
    first, _, chance = report["columns"]
    assert (first["unanswered"], chance["metrics"]["caption_to_image_median_rank"]) == (30, 15)
    assert {each["word"]: each["relevant"] for each in first["words"]} == {
        "dog": 6, "cat": 6, "boat": 6, "house": 6, "tree": 6,
    }  # fmt: skip
    assert first["metrics"].keys() - {"words"} == chance["metrics"].keys()
    code, out, _ = run(*given, "--limit", 10)
    assert code == 0
    assert "10 images" in " ".join(out.split())

    (tmp_path / "list.txt").write_text("000003.png\n\n000001.png\n")
    code, out, _ = run(*given[:5], "--only", tmp_path / "list.txt", "--json")
    assert (code, json.loads(out)["images"]) == (0, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--held-out", 0), "None of the 31 captioned pictures is held out"),
        (("--only", "list.txt"), "lists x.png: not among the 31 captioned pictures"),
        (("--only", "none.txt"), "cannot be read as UTF-8"),
        (("--compare", "nowhere"), "not a bundle"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(
    tmp_path: Path, captioned: tuple[Path, Path], options: tuple[str, object], message: str
) -> None:
    (tmp_path / "list.txt").write_text("x.png\n")
    bundle = write_test_bundle(tmp_path)
    option, value = options
    value = tmp_path / value if isinstance(value, str) else value
    code, _, error = run(captioned[0], "--captions", captioned[1], "--bundle", bundle, option, value)
    assert (code, error.count("Traceback")) == (1, 0)
    assert message in error


def test_the_starter_finds_flickr8k_better_than_chance() -> None:
    need(FLICKR.is_dir(), f"{FLICKR} is not there, and has Flickr8k: set SEMSEARCH_SHARED_DATA")
    code, out, error = run(
        FLICKR / "flickr8k.tar", "--captions", FLICKR / "flickr8k_captions.csv", "--limit", 100, "--json"
    )
    assert code == 0, error
    starter, chance = (column["metrics"] for column in json.loads(out)["columns"])
    for name in ("caption_to_image_recall@10", "image_to_caption_recall@10", "word_precision@10", "tagged@5"):
        assert starter[name] > 1.5 * chance[name]
