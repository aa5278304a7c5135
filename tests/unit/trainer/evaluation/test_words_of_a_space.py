"""Hubs, neighbours and graded pairs of words, against slow definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.trainer.made_up_space import VOCABULARY
from trainer.errors import EvaluationImpossible
from trainer.evaluation.words import (
    OWN_PAIRS,
    WordPair,
    correlate,
    hubness,
    k_occurrence,
    nearest_words,
    read_word_pairs,
    skewness,
    spearman,
)
from trainer.labels.space import unit_rows


def test_k_occurrence_counts_among_whose_nearest_a_row_is() -> None:
    vectors = unit_rows(np.random.default_rng(0).normal(size=(600, 5)))
    similarity = vectors @ vectors.T
    expected = np.zeros(600, dtype=int)
    for row in range(600):
        nearest = [other for other in np.argsort(-similarity[row]) if other != row]
        expected[nearest[:3]] += 1
    assert k_occurrence(vectors, 3).tolist() == expected.tolist()


def test_few_rows_count_all_others_and_one_row_none() -> None:
    assert k_occurrence(np.eye(3, dtype=np.float32), 10).tolist() == [2, 2, 2]
    assert k_occurrence(np.eye(1, dtype=np.float32), 10).tolist() == [0]


def test_skewness_is_the_third_standardised_moment() -> None:
    assert skewness(np.array([1, 1, 1, 1])) == 0
    assert skewness(np.array([0, 1, 2])) == pytest.approx(0)
    assert skewness(np.array([0, 0, 0, 4])) == pytest.approx(2 / np.sqrt(3))


def test_the_greatest_hub_is_named() -> None:
    found = hubness(VOCABULARY)
    assert found.greatest == found.counts.max()
    assert found.word == VOCABULARY.words[int(found.counts.argmax())]


@given(st.integers(0, 2**32), st.integers(1, 5))
def test_spearman_is_the_correlation_of_mean_ranks(seed: int, levels: int) -> None:
    one, other = np.random.default_rng(seed).integers(0, levels, (2, 6)).astype(np.float64)

    def ranks(row: NDArray[np.float64]) -> list[float]:
        return [sum(x < value for x in row) + (sum(x == value for x in row) + 1) / 2 for value in row]

    found = spearman(one, other)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(ranks(one), ranks(other))[0, 1])


def test_pairs_are_compared_where_both_words_are_known() -> None:
    pairs = [WordPair("poodle", "dog", 9), WordPair("poodle", "terrier", 7), WordPair("poodle", "car", 1)]
    found = correlate("small", [*pairs, WordPair("poodle", "axolotl", 5)], VOCABULARY)
    assert (found.known, found.pairs, found.correlation) == (3, 4, pytest.approx(1))
    assert np.isnan(correlate("two", pairs[:2], VOCABULARY).correlation)


def test_nearest_words_omit_the_word_and_an_unknown_one_has_none() -> None:
    nearest = nearest_words("dog", VOCABULARY, 2)
    assert {word for word, _ in nearest} == {"poodle", "terrier"}
    assert nearest_words("axolotl", VOCABULARY) == ()


def test_the_own_list_has_sixty_distinct_pairs_of_all_grades() -> None:
    pairs = read_word_pairs(OWN_PAIRS)
    assert len({frozenset((pair.one, pair.other)) for pair in pairs}) == len(pairs) == 60
    assert min(pair.grade for pair in pairs) < 1
    assert max(pair.grade for pair in pairs) <= 10


def test_lists_are_read_as_they_are_distributed(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("# Word 1\tWord 2\tmean\nTiger\tcat\t7.35\n\nlove\tsex\t6.77\n")
    assert read_word_pairs(tmp_path / "pairs.tsv") == (WordPair("tiger", "cat", 7.35), WordPair("love", "sex", 6.77))
    (tmp_path / "pairs.tsv").write_text("tiger cat 7.35\n")
    with pytest.raises(EvaluationImpossible, match="word, word, number"):
        read_word_pairs(tmp_path / "pairs.tsv")
    with pytest.raises(EvaluationImpossible, match="gives no graded pairs"):
        read_word_pairs(tmp_path / "nowhere.tsv")
