"""The words that, by WordNet, are other things than images show, and those that are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.trainer.small_wordnet import WORDNET
from trainer.errors import EvaluationImpossible
from trainer.evaluation.photos import measure_photos, read_photos, senses_of
from trainer.labels.class_words import ClassWords
from trainer.labels.sense_words import kinds_of, label_of, right_words
from trainer.labels.space import Vocabulary
from trainer.relevance.thresholds import words_of_other_things
from trainer.words.word_space import WordSpace

DOG = ClassWords("n00000005", "dog", ("animal",))
POODLE, TROUT, CAR = (WORDNET.sense(f"n{number:08}") for number in (1, 3, 4))
WORDS = ("the", "poodle", "dog", "trout", "fish", "car", "animal")
VOCABULARY = Vocabulary(WordSpace(WORDS, np.eye(7, dtype=np.float16)))


def test_hypernyms_hyponyms_and_non_nouns_are_not_other_things() -> None:
    words = ("dog", "poodle", "canine", "animal", "entity", "trout", "car", "galaxy", "said")
    assert words_of_other_things(words, [DOG], WORDNET) == ("trout", "car", "galaxy")


def test_kinds_are_lemmas_and_last_words_below_the_most_general() -> None:
    assert kinds_of(TROUT, WORDNET) == ("bony fish", "fish", "animal")
    assert kinds_of(CAR, WORDNET) == ("vehicle",)
    assert right_words(POODLE, WORDNET) == {"poodle", "standard poodle", "dog", "canine", "animal"}


def test_a_sense_becomes_a_class_by_the_words_that_are_known() -> None:
    assert label_of(TROUT, WORDNET, VOCABULARY, 1) == ClassWords("n00000003", "trout", ("fish",))
    assert label_of(WORDNET.sense("n00000010"), WORDNET, VOCABULARY, 2) is None


def test_photos_are_right_by_any_right_word_and_by_their_own() -> None:
    """The poodle lies on “dog”, the trout on “fish” and “trout”, the car nearest to “the”."""
    places = [[0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0.6, 0.8, 0, 0], [0.9, 0.1, 0.1, 0.1, 0.1, 0, 0.1]]
    vectors = np.array(places, np.float32)
    taggable = np.array([word != "the" for word in VOCABULARY.words])
    found = measure_photos(vectors, (POODLE, TROUT, CAR), VOCABULARY, taggable, WORDNET)
    assert (found.photos, found.lemma_known, found.lemma) == (3, 3, 1)
    assert (found.tagged, found.tagged_taggable) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert list(found.missed) == ["car"]
    assert found.missed["car"][0] == "the"
    assert found.metrics()["photos"] == 3


def test_kinds_are_asked_for_if_five_photos_show_them() -> None:
    vectors = np.tile(np.eye(7, dtype=np.float32)[2], (6, 1))
    found = measure_photos(vectors, (POODLE,) * 5 + (CAR,), VOCABULARY, np.ones(7, dtype=bool), WORDNET)
    assert set(found.kinds) == {"animal", "dog"}
    assert found.kinds["dog"] == pytest.approx(1)


def test_photos_are_named_by_their_senses(tmp_path: Path) -> None:
    for name in ("n00000003_trout.jpg", "n00000001_standard poodle.PNG", "readme.txt", "trout.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    photos = list(read_photos(tmp_path))
    assert [(photo.key, photo.label) for photo in photos] == [
        ("n00000001_standard poodle.PNG", "n00000001"),
        ("n00000003_trout.jpg", "n00000003"),
    ]
    assert senses_of([photo.label for photo in photos], WORDNET) == (POODLE, TROUT)


def test_no_photos_and_an_unknown_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationImpossible, match="named by its sense"):
        list(read_photos(tmp_path))
    with pytest.raises(EvaluationImpossible, match="no noun 'n99999999'"):
        senses_of(["n99999999"], WORDNET)
