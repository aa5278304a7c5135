"""Queries as people type them, with a small vocabulary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bundle.reading import WordTable
from model.errors import CancelledTerms, EmptyQuery, InvalidWeight, QueryError, QueryTooLong, UnknownWords
from model.text.embedding import TextVector, embed_terms
from model.text.query import Term, check_terms, parse
from model.text.vocabulary import Vocabulary
from tests.bundles import WORDS
from tests.unit.model.made_up_vocabulary import made_up

VOCABULARY = made_up(WORDS)


def embed(query: str) -> TextVector:
    return embed_terms(parse(query), VOCABULARY)


def of(word: str) -> np.ndarray:
    vector = VOCABULARY.table.vectors[WORDS.index(word)].astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector))


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("cat sofa", [("cat", 1), ("sofa", 1)]),
        ('"sports car"', [("sports car", 1)]),
        ("-dog", [("dog", -1)]),
        ("beach^0.5", [("beach", 0.5)]),
        ('-"sports car"^2 red', [("sports car", -2), ("red", 1)]),
        ("t-shirt", [("t-shirt", 1)]),
        ('"open end', [("open end", 1)]),
        ("cat, sofa; (bird)", [("cat", 1), ("sofa", 1), ("bird", 1)]),
        ("  ", None),
        ("!?", None),
        ('""', None),
    ],
)
def test_queries_are_parsed_as_people_mean_them(query: str, terms: list[tuple[str, float]] | None) -> None:
    if terms is None:
        with pytest.raises(EmptyQuery):
            parse(query)
    else:
        assert [(term.text, term.weight) for term in parse(query)] == terms


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("DOG", "dog"),
        ("dogs", "dog"),
        ("cats", "cats"),  # in the vocabulary, so it stays plural
        ("beaches", "beach"),
        ("dog's", "dog"),
        ("sports-car", "sports car"),
        ("sports cars", "sports car"),
        ("golden retriever", "golden retriever"),
        ("T-Shirts", "t-shirt"),
        ("gold-fish", "goldfish"),
        ("béach", "beach"),
    ],
)
def test_case_plural_hyphen_and_accents_do_not_matter(written: str, word: str) -> None:
    assert [term.words for term in embed(written).understood] == [(word,)]


def test_several_words_are_the_normalised_weighted_mean() -> None:
    mean = of("cat") + 0.5 * of("sofa") - of("dog")
    np.testing.assert_allclose(embed("cat sofa^0.5 -dog").vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_a_phrase_outside_the_vocabulary_is_its_words_mean() -> None:
    mean = of("red") + of("boat")
    np.testing.assert_allclose(embed('"red boat"').vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_words_with_unequal_weights_are_not_a_phrase() -> None:
    assert [term.words for term in embed("sports car^2").understood] == [("sports",), ("car",)]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("a man in a car", [("man",), ("car",)]),
        ("sports car", [("sports car",)]),
        ("t shirts", [("t-shirt",)]),
        ('"a man"', [("man",)]),
    ],
)
def test_adjacent_words_make_phrases_but_no_solid_words(query: str, words: list[tuple[str, ...]]) -> None:
    """Large vocabularies have solid words such as `aman` and `ina`, but nobody who writes "a man" means them."""
    entries = ("a", "in", "man", "car", "aman", "ina", "sports car", "t-shirt")
    vectors = np.eye(len(entries), dtype=np.float16)
    found = embed_terms(parse(query), Vocabulary(WordTable(entries, vectors, np.ones(len(entries), bool))))
    assert [term.words for term in found.understood] == words


def test_unknown_words_are_named_without_suggestions_too() -> None:
    assert [each.suggestions for each in embed_terms(parse("banan dog"), VOCABULARY, suggest=False).unknown] == [()]


def test_unknown_words_get_suggestions_and_the_rest_counts() -> None:
    found = embed("banan dog zzzzzz")
    assert {each.word: each.suggestions for each in found.unknown} == {"banan": ("banana",), "zzzzzz": ()}
    np.testing.assert_allclose(found.vector, of("dog"), atol=1e-5)


def test_a_query_of_unknown_words_is_refused_with_suggestions() -> None:
    with pytest.raises(UnknownWords, match="banana") as raised:
        embed("banan")
    assert raised.value.suggestions == {"banan": ("banana",)}


def test_terms_that_cancel_are_refused() -> None:
    with pytest.raises(CancelledTerms):
        embed("dog -dog")


def test_long_queries_are_refused() -> None:
    with pytest.raises(QueryTooLong):
        parse("x" * 2_001)
    with pytest.raises(QueryTooLong):
        parse("dog " * 101)


def test_a_query_is_as_long_as_its_characters_are_written_out() -> None:
    assert len(parse("ﬁsh " * 100)) == 100
    with pytest.raises(QueryTooLong, match="has 5,400 characters once") as raised:
        parse("ﷺ" * 300)
    assert "at most 2,000 are allowed" in str(raised.value)


@pytest.mark.parametrize("weight", [0.0, float("nan"), float("inf"), 1e30])
def test_a_weight_must_be_a_number_other_than_zero(weight: float) -> None:
    with pytest.raises(InvalidWeight):
        check_terms([Term("dog", weight)])


@pytest.mark.parametrize("weight", [1e-300, 1e6])
def test_the_size_of_weights_does_not_matter(weight: float) -> None:
    terms = (Term("dog", weight), Term("cat", -weight / 2))
    np.testing.assert_allclose(embed_terms(terms, VOCABULARY).vector, embed("dog -cat^0.5").vector, atol=1e-6)


@settings(deadline=None)  # a machine may be busy
@given(st.text(max_size=60))
def test_any_text_gives_a_unit_vector_or_a_query_error(query: str) -> None:
    try:
        vector = embed(query).vector
    except QueryError as error:
        text = str(error)
        assert text.endswith((".", "?"))
    else:
        assert abs(np.linalg.norm(vector) - 1) < 1e-5
