"""The recipe of the searched vectors."""

from pathlib import Path

import numpy as np

from benchmarks.index.vectors import Corpus, Recipe, make


def test_the_same_recipe_gives_the_same_numbers(corpus: Corpus, words: Path, tmp_path: Path) -> None:
    again = make(Recipe(words, count=300, queries=20), tmp_path)
    assert np.array_equal(again.rows, corpus.rows)
    for one, other in ((again.tuning, corpus.tuning), (again.measuring, corpus.measuring)):
        assert np.array_equal(one.vectors, other.vectors)
        assert np.array_equal(one.positions, other.positions)


def test_another_seed_gives_other_numbers(corpus: Corpus, words: Path, tmp_path: Path) -> None:
    assert not np.array_equal(make(Recipe(words, count=300, queries=20, seed=2), tmp_path).rows, corpus.rows)


def test_a_smaller_size_is_the_beginning_of_a_larger_one(corpus: Corpus, words: Path, tmp_path: Path) -> None:
    smaller = make(Recipe(words, count=170, queries=20), tmp_path)
    assert np.array_equal(smaller.rows, corpus.rows[:170])
    assert np.array_equal(smaller.measuring.vectors, corpus.measuring.vectors)


def test_rows_are_of_length_one_and_no_two_are_the_same(corpus: Corpus) -> None:
    assert np.allclose(np.linalg.norm(corpus.rows, axis=1), 1, atol=1e-6)
    assert len(np.unique(corpus.rows, axis=0)) == 300


def test_rows_are_words_or_mixtures_and_queries_are_all_new(corpus: Corpus, words: Path) -> None:
    real = np.load(words).astype(np.float32)
    real /= np.linalg.norm(real, axis=1, keepdims=True)
    queries = np.concatenate([corpus.tuning.vectors, corpus.measuring.vectors])
    assert len(np.unique(queries, axis=0)) == 40

    def words_among(vectors: np.ndarray) -> int:
        return int(np.count_nonzero((vectors @ real.T).max(axis=1) > 1 - 1e-6))

    assert words_among(corpus.rows) == 100
    assert words_among(corpus.tuning.vectors) == words_among(corpus.measuring.vectors) == 10
    assert (queries @ corpus.rows.T).max() < 1 - 1e-6


def test_a_corpus_is_reused(words: Path, tmp_path: Path) -> None:
    first = make(Recipe(words, count=50, queries=10), tmp_path)
    changed = np.load(first.rows_file, mmap_mode="r+")
    changed[0] = 7
    changed.flush()
    assert make(Recipe(words, count=50, queries=10), tmp_path).rows[0, 0] == 7


def test_a_corpus_left_incomplete_is_made_again(words: Path, tmp_path: Path) -> None:
    recipe = Recipe(words, count=50, queries=10)
    (tmp_path / f"{recipe.key}.partial").mkdir()
    assert len(make(recipe, tmp_path).rows) == 50
