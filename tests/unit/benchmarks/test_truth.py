"""Recall, compared with NumPy."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.index import truth
from benchmarks.index.truth import Questions, nearest_of_all, recall
from benchmarks.index.vectors import Corpus, K


def sorted_positions(corpus: Corpus) -> np.ndarray:
    return np.argsort(-(corpus.measuring.vectors @ corpus.rows.T), axis=1)


@pytest.mark.parametrize("chunk", [7, 100, 10_000])
def test_the_nearest_of_all_are_those_that_sorting_finds(
    corpus: Corpus, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truth, "_CHUNK", chunk)
    monkeypatch.setattr(truth, "_MEMORY_CELLS", 3 * chunk)
    positions, cosines = nearest_of_all(corpus.measuring.vectors, corpus.rows, K)
    assert np.array_equal(positions, sorted_positions(corpus)[:, :K])
    assert np.allclose(cosines, np.take_along_axis(corpus.measuring.vectors @ corpus.rows.T, positions, 1), atol=1e-6)


@pytest.mark.parametrize("right", range(K + 1))
def test_recall_is_the_share_of_the_nearest_that_was_found(corpus: Corpus, right: int) -> None:
    ranked = sorted_positions(corpus)
    found = [np.concatenate([row[:right], row[100 : 100 + K - right]]) for row in ranked]
    expected = np.mean([len(set(a[:K]) & set(b)) / K for a, b in zip(ranked, found, strict=True)])
    assert recall(found, corpus.measuring, corpus.rows) == pytest.approx(expected)


def recall_of_one(rows: Sequence[Sequence[float]], k: int, found: Sequence[int]) -> float:
    vectors = np.array(rows, dtype=np.float32)
    query = np.array([[1, 0]], dtype=np.float32)
    return recall([np.array(found, dtype=np.intp)], Questions(query, *nearest_of_all(query, vectors, k)), vectors)


def test_each_of_equally_near_rows_counts() -> None:
    rows = [(1, 0), (0.6, 0.8), (0.6, 0.8), (0, 1)]
    assert recall_of_one(rows, 2, [0, 1]) == recall_of_one(rows, 2, [0, 2]) == 1
    assert recall_of_one(rows, 2, [0, 3]) == 0.5


def test_a_row_that_is_found_twice_counts_once() -> None:
    assert recall_of_one([(1, 0), (0.6, 0.8)], 2, [0, 0]) == 0.5


def test_what_comes_after_the_first_k_does_not_count() -> None:
    assert recall_of_one([(1, 0), (0.6, 0.8), (0, 1)], 1, [2, 0]) == 0


def test_a_search_that_finds_nothing_has_no_recall() -> None:
    assert recall_of_one([(1, 0), (0.6, 0.8)], 1, []) == 0
