"""Lines of ImageNet's labels as senses, and the words that fit them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.errors import TrainingSetUnusable
from trainer.labels.sense_words import FittingWords, fitting_words, read_senses
from trainer.words.wordnet import Category, Sense, WordNet


def wordnet(*senses: tuple[str, str, str]) -> WordNet:
    """Of (wnid, lemmas, wnid of the kind); a chain of eight general kinds is at the top."""
    chain = [(f"n0000000{depth}", f"general{depth}", f"n0000000{depth - 1}" if depth else "") for depth in range(8)]
    made = {
        wnid: Sense(wnid, Category.ARTIFACT, tuple(lemmas.split(",")), (kind,) if kind else (), False, "")
        for wnid, lemmas, kind in (*chain, *senses)
    }
    of_word: dict[str, tuple[str, ...]] = {}
    for wnid, sense in made.items():
        for lemma in sense.lemmas:
            key = lemma.lower().replace(" ", "_")
            of_word[key] = (*of_word.get(key, ()), wnid)
    return WordNet(made, of_word, {"run": {1: 1, 2: 9}}, {})


def test_lemmas_and_order_identify_a_lines_sense(tmp_path: Path) -> None:
    known = wordnet(
        ("n1", "crane", "n00000007"), ("n2", "tench,Tinca tinca", "n00000007"), ("n3", "crane", "n00000007")
    )
    labels = tmp_path / "labels.txt"
    labels.write_text("background\ncrane\ntench, Tinca tinca\ncrane\n")
    senses = read_senses(labels, known)
    assert [sense and sense.wnid for sense in senses] == [None, "n1", "n2", "n3"]


def test_a_line_that_wordnet_does_not_know_is_named(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("unicorn, horse with a horn\n")
    with pytest.raises(TrainingSetUnusable, match="no noun with the names unicorn, horse with a horn"):
        read_senses(labels, wordnet())


def test_fitting_words_are_known_and_not_too_general() -> None:
    known = wordnet(
        ("n1", "fish,swimmer", "n00000007"), ("n2", "food fish,run", "n1"), ("n3", "tench,Tinca tinca", "n2")
    )
    vocabulary = {"tench", "fish", "swimmer", "run", "general7", "general2"}
    assert fitting_words(known.sense("n3"), known, vocabulary) == FittingWords(
        own=("tench",), kinds=("fish", "swimmer", "general7"), further=("run",)
    )


def test_a_name_missing_from_the_vocabulary_uses_its_last_word() -> None:
    known = wordnet(("n1", "shark", "n00000007"), ("n2", "tiger shark,Galeocerdo cuvieri", "n1"))
    words = fitting_words(known.sense("n2"), known, {"shark", "tiger"})
    assert words == FittingWords(own=("shark",))
