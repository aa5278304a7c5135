"""Suggestions for misspelled words from the vocabulary that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.text.suggestions import Speller
from tests.unit.model.typing_errors import TYPING_ERRORS

BUNDLE = Path(__file__).parents[3] / "starter" / "bundle"
RIGHT_FIRST, RIGHT_AMONG_THREE = 0.9, 0.97


@pytest.fixture(scope="module")
def speller() -> Speller:
    return Speller((BUNDLE / "words.txt").read_text(encoding="utf-8").splitlines(), np.load(BUNDLE / "taggable.npy"))


def test_the_intended_word_is_suggested_first(speller: Speller) -> None:
    assert len(TYPING_ERRORS) >= 60
    suggested = {typed: speller.suggest(typed) for typed in TYPING_ERRORS}
    first = sum(suggested[typed][:1] == (meant,) for typed, meant in TYPING_ERRORS.items())
    among = sum(meant in suggested[typed] for typed, meant in TYPING_ERRORS.items())
    assert first / len(TYPING_ERRORS) >= RIGHT_FIRST, suggested
    assert among / len(TYPING_ERRORS) >= RIGHT_AMONG_THREE, suggested


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("elefantt", "elephant"),
        ("bycicle", "bicycle"),
        ("gitar", "guitar"),
        ("buterfly", "butterfly"),
        ("mountan", "mountain"),
        ("kichen", "kitchen"),
        ("GITAR", "guitar"),
        ("goldenretriever", "golden retriever"),
    ],
)
def test_common_misspellings_are_understood(speller: Speller, typed: str, meant: str) -> None:
    assert speller.suggest(typed)[0] == meant


@pytest.mark.parametrize("typed", ["", "x", "犬", "犬" * 805, "qxzjvkqw", "x" * 2_000])
def test_nothing_is_suggested_if_no_word_is_similar(speller: Speller, typed: str) -> None:
    assert speller.suggest(typed) == ()


def test_an_empty_vocabulary_suggests_nothing() -> None:
    assert Speller((), ()).suggest("dog") == ()
