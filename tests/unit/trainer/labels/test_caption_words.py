"""The words that are right for a picture, according to its captions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bundle.reading import WordTable
from model.text.vocabulary import Vocabulary
from trainer.labels.caption_words import NEITHER, RIGHT, WRONG, words_of_captions

WORDS = (
    "the", "a", "in", "dog", "person", "people", "man", "men", "woman", "group", "red", "running", "grass", "gras",
    "horse", "hors", "horses", "t-shirt", "golden retriever", "retriever", "pool", "aman", "s",
)  # fmt: skip
TABLE = WordTable(WORDS, np.zeros((len(WORDS), 2), np.float16), np.ones(len(WORDS), bool))
VOCABULARY = Vocabulary(TABLE)


def words_in(*captions: str) -> dict[str, int]:
    found = words_of_captions([captions], VOCABULARY)
    return dict(zip(found.words, found.shown[0].tolist(), strict=True))


def test_two_captions_agree_one_is_undecided_and_none_is_wrong() -> None:
    found = words_of_captions([["A dog", "the dog .", "A red thing"], ["a horse", "a horse"], []], VOCABULARY)
    assert found.words == ("dog", "red", "horse")
    assert [WORDS[row] for row in found.rows] == list(found.words)
    assert found.shown.dtype == np.int8
    assert found.shown.tolist() == [[RIGHT, NEITHER, WRONG], [WRONG, WRONG, RIGHT], [WRONG, WRONG, WRONG]]


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("Dogs running .", {"dog", "running"}),
        ("Two men", {"man", "men", "person", "people"}),
        ("Grass", {"grass"}),
        ("Horses", {"horses", "horse"}),
        ("A golden retriever", {"golden retriever", "retriever"}),
        ("red t-shirts", {"red", "t-shirt"}),
        ("a red-dog", {"red", "dog"}),
        ("a man in the pool", {"man", "pool", "person"}),
        ("A man and a woman", {"man", "woman", "person", "people"}),
        ("A child", {"person"}),
        ("Hockey players", {"person", "people"}),
        ("People", {"person", "people"}),
        ("a group", {"group", "people"}),
        ("A crowd", {"people"}),
        ("the man's dog", {"man", "dog", "person"}),
        ("", set()),
        ("dog " * 200, set()),
    ],
)
def test_words_are_those_that_a_query_would_find(caption: str, words: set[str]) -> None:
    assert set(words_in(caption)) == words
    assert set(words_in(caption, caption).values()) <= {RIGHT}


def test_a_person_needs_two_captions_as_any_word_does() -> None:
    assert words_in("a man", "a dog") == {"man": NEITHER, "dog": NEITHER, "person": NEITHER}
    assert words_in("a man", "a woman")["person"] == RIGHT


@given(st.lists(st.lists(st.lists(st.sampled_from(["dog", "red", "pool", "grass"])).map(" ".join), max_size=5)))
def test_counting_is_that_of_the_contract(captions: list[list[str]]) -> None:
    found = words_of_captions(captions, VOCABULARY)
    for column, word in enumerate(found.words):
        for row, of_picture in enumerate(captions):
            times = sum(word in caption.split() for caption in of_picture)
            assert found.shown[row, column] == {0: WRONG, 1: NEITHER}.get(times, RIGHT)
    assert found.shown.shape == (len(captions), len({w for each in captions for c in each for w in c.split()}))
