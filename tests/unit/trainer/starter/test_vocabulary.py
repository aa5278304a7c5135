"""The starter's vocabulary: what is in it, in which order, and what may be a tag."""

from __future__ import annotations

import numpy as np
import pytest

from model.bundle.reading import WordTable
from model.text.vocabulary import Vocabulary
from trainer.labels.class_words import ClassWords
from trainer.starter.vocabulary import ENTRIES, WORDS, taggable, vocabulary
from trainer.words.wordnet import WordNet

FREQUENT = (
    "the", "a", "does", "dogs", "dog", "car", "cars", "auto", "sports", "well", "air", "sea", "fish", "bird",
    "can't", "2024", "x", "zq", "vfl", "tv", "bucket", "magpies", "magpie", "idea", "run", "lawyer", "structure", "doe",
)  # fmt: skip
LABELS = (ClassWords("n1", "goldfish", ("fish",)), ClassWords("n2", "sports car", ("car", "vehicle")))


def zipf(text: str) -> float:
    """Falls with the place in the list, by a tenth; a phrase is as rare as its rarest word and rarer."""
    rank = max((FREQUENT.index(word) if word in FREQUENT else 40) for word in text.split())
    return 7 - rank / 10 - text.count(" ") / 100


def made(wordnet: WordNet, words: int = 60, entries: int = 70) -> tuple[str, ...]:
    return vocabulary(LABELS, FREQUENT, wordnet, zipf, words, entries)


def test_every_word_of_the_classes_is_in_however_rare(wordnet: WordNet) -> None:
    assert {"goldfish", "fish", "sports car", "car", "vehicle"} <= set(made(wordnet, words=5, entries=6))


def test_the_most_frequent_come_first_and_each_once(wordnet: WordNet) -> None:
    words = made(wordnet)
    assert words[:3] == ("the", "a", "does")
    assert list(words) == sorted(words, key=lambda word: (-zipf(word), word))
    assert len(set(words)) == len(words)


def test_numbers_contractions_and_letters_are_no_words(wordnet: WordNet) -> None:
    assert not {"can't", "2024", "x"} & set(made(wordnet))


def test_an_abbreviation_must_be_common(wordnet: WordNet) -> None:
    rarely = vocabulary(LABELS, FREQUENT, wordnet, lambda word: zipf(word) - 2, 60, 70)
    assert {"zq", "vfl", "tv"} <= set(made(wordnet))
    assert not {"zq", "vfl", "tv"} & set(rarely)


def test_single_words_match_the_request_and_phrases_add_to_them(wordnet: WordNet) -> None:
    words = made(wordnet, words=12, entries=13)
    assert sum(" " not in word for word in words) == 12
    assert [word for word in words if " " in word] == ["sports car"]


def test_a_plural_is_left_out_where_queries_find_its_singular(wordnet: WordNet) -> None:
    words = made(wordnet)
    assert not {"dogs", "cars", "magpies"} & set(words)
    table = WordTable(words, np.zeros((len(words), 1), np.float16), np.zeros(len(words), np.bool_))
    pipeline = Vocabulary(table)
    for plural, singular in (("dogs", "dog"), ("cars", "car"), ("magpies", "magpie")):
        row = pipeline.find(plural)
        assert row is not None
        assert words[row] == singular


def test_a_word_that_only_looks_like_a_plural_stays(wordnet: WordNet) -> None:
    assert {"does", "doe"} <= set(made(wordnet))  # far more frequent than what it would be the plural of


def test_a_phrase_that_the_tagged_texts_never_use_stays_out(wordnet: WordNet) -> None:
    without = vocabulary(LABELS[:1], FREQUENT, wordnet, zipf, 60, 70)
    assert "sports car" in without  # used, so it needs no class
    assert "air well" not in without


def test_what_the_defaults_allow_fits_into_the_files() -> None:
    assert WORDS >= 30_000
    assert ENTRIES * 300 * np.dtype(np.float16).itemsize < 18.5e6


@pytest.mark.parametrize("word", ["dog", "bucket", "magpie", "sea", "goldfish"])
def test_what_can_be_seen_may_be_a_tag(wordnet: WordNet, word: str) -> None:
    assert taggable([word], LABELS, wordnet, lambda _: 4.0)[0]


@pytest.mark.parametrize(
    "word",
    [
        pytest.param("idea", id="cannot be seen"),
        pytest.param("run", id="mostly a verb"),
        pytest.param("dogs", id="a plural"),
        pytest.param("structure", id="too general"),
        pytest.param("lawyer", id="a person"),
        pytest.param("bitch", id="rude"),
        pytest.param("paris", id="one place, not a kind of thing"),
        pytest.param("air well", id="a phrase of no class"),
        pytest.param("the", id="no noun"),
    ],
)
def test_what_may_not_be_a_tag(wordnet: WordNet, word: str) -> None:
    assert not taggable([word], LABELS, wordnet, lambda _: 4.0)[0]


def test_a_noun_as_common_as_a_function_word_is_no_tag(wordnet: WordNet) -> None:
    assert taggable(["dog"], (), wordnet, lambda _: 5.7)[0]
    assert not taggable(["dog"], (), wordnet, lambda _: 5.8)[0]


def test_words_of_the_classes_are_always_tags(wordnet: WordNet) -> None:
    assert taggable(["sports car", "vehicle"], LABELS, wordnet, lambda _: 6.0).all()
