"""Making the folder of words: whole, resumable, the same again."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.errors import PackagesMissing, StarterError
from trainer.labels.class_words import read_class_words
from trainer.labels.space import Vocabulary
from trainer.starter import word_files
from trainer.starter.word_files import Sources, load_sources, make_words
from trainer.words.word_space import read_word_space
from trainer.words.wordnet import WordNet

FREQUENT = (
    "the",
    "dogs",
    "dog",
    "car",
    "fish",
    "bird",
    "magpie",
    "tench",
    "sea",
    "animal",
    "vehicle",
    "idea",
    "bucket",
)
FILES = ("labels.json", "taggable.npy", "words.npy", "words.txt")


class Interrupted(Exception):
    """Stands for a crash of the machine."""


class HashedTexts:
    """A sentence model whose vectors depend on the text alone; words of more than four letters are two pieces."""

    def __init__(self, limit: int | None = None) -> None:
        self.read: list[str] = []
        self._limit = limit

    def piece_counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return np.array([sum(1 + (len(word) > 4) for word in text.split()) for text in texts])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self._limit is not None and len(self.read) + len(texts) > self._limit:
            raise Interrupted
        self.read.extend(texts)
        seeds = (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) for text in texts)
        rows = np.stack([np.random.default_rng(seed).normal(size=320) for seed in seeds])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "classes.json").write_text(json.dumps({"n00000021": "goldfish"}))  # as in conftest.py
    return folder


def sources(wordnet: WordNet, sentences: HashedTexts) -> Sources:
    return Sources(wordnet, FREQUENT, lambda text: 5.0 - len(text) / 10, sentences)


def nothing(done: int, total: int) -> None:
    """Hears of progress."""


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_four_files_belong_together(tmp_path: Path, photos: Path, wordnet: WordNet) -> None:
    folder = tmp_path / "words"
    make_words(photos, folder, nothing, sources(wordnet, HashedTexts()))
    assert tuple(content(folder)) == FILES
    space = read_word_space(folder)
    assert space.vectors.shape == (len(space.words), 300)
    assert space.vectors.dtype == np.float16
    assert np.load(folder / "taggable.npy").shape == (len(space.words),)
    labels = read_class_words(folder / "labels.json")
    assert labels[0].word == "goldfish"
    assert len(labels) == 21
    for label in labels:
        Vocabulary(space).label_vector(label, 2)  # every word of a class has its vector


def test_progress_grows_to_the_number_of_texts(
    tmp_path: Path, photos: Path, wordnet: WordNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_files, "_AT_ONCE", 4)
    heard: list[tuple[int, int]] = []
    make_words(photos, tmp_path / "words", lambda *each: heard.append(each), sources(wordnet, HashedTexts()))
    done = [each for each, _ in heard]
    assert len(done) > 3
    assert done == sorted(done)
    assert heard[-1][0] == heard[-1][1]


def test_an_interruption_leaves_no_folder_and_costs_one_batch(
    tmp_path: Path, photos: Path, wordnet: WordNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_files, "_AT_ONCE", 4)
    make_words(photos, tmp_path / "whole", nothing, sources(wordnet, whole := HashedTexts()))
    first, second = HashedTexts(limit=14), HashedTexts()
    with pytest.raises(Interrupted):
        make_words(photos, tmp_path / "words", nothing, sources(wordnet, first))
    assert not (tmp_path / "words").exists()
    make_words(photos, tmp_path / "words", nothing, sources(wordnet, second))
    assert not set(first.read[1:]) & set(second.read[1:])  # the first text shows the dimension
    assert set(first.read + second.read) == set(whole.read)
    assert content(tmp_path / "words") == content(tmp_path / "whole")


def test_another_folder_gets_the_same_bytes(tmp_path: Path, photos: Path, wordnet: WordNet) -> None:
    for name in ("one", "two"):
        make_words(photos, tmp_path / name, nothing, sources(wordnet, HashedTexts()))
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_new_folder_replaces_the_old_and_reads_nothing_twice(tmp_path: Path, photos: Path, wordnet: WordNet) -> None:
    folder = tmp_path / "words"
    make_words(photos, folder, nothing, sources(wordnet, HashedTexts()))
    (folder / "left").write_text("from an older version")
    make_words(photos, folder, nothing, sources(wordnet, again := HashedTexts()))
    assert tuple(content(folder)) == FILES
    assert len(again.read) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "words", "words-read"}


@pytest.mark.parametrize("package", ["wordfreq", "safetensors", "tokenizers"])
def test_a_missing_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    order = ("wordfreq", "safetensors", "tokenizers")  # as they are imported
    for name in order[: order.index(package)]:
        pytest.importorskip(name, reason=f"{name} is not installed, and is missed first")
    for name in [each for each in sys.modules if each.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "trainer.starter.sentence_model", raising=False)
    with pytest.raises(PackagesMissing, match=rf"^{package} .*make starter-setup") as message:
        load_sources()
    assert isinstance(message.value, StarterError)
