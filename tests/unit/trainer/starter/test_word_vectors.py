"""Mending rare words with their definitions, and the reduction to fewer dimensions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.starter.word_files import definitions, mend, reduce
from trainer.words.wordnet import WordNet


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def words_in_space(count: int = 400, dimension: int = 24, rank: int = 6) -> NDArray[np.float32]:
    """Unit vectors near a plane of few dimensions, with a mean of their own."""
    rng = np.random.default_rng(3)
    plane = rng.normal(size=(count, rank)) @ rng.normal(size=(rank, dimension))
    return unit(plane + rng.normal(size=dimension) * 3 + rng.normal(size=(count, dimension)) * 0.01)


def test_only_nouns_in_more_pieces_than_words_are_read_about(wordnet: WordNet) -> None:
    words = ["dog", "magpie", "qwzx", "sports car", "paris"]
    pieces = np.array([1, 2, 3, 2, 2])
    assert definitions(words, pieces, wordnet) == {1: "magpie: long-tailed black-and-white crow"}


def test_a_plural_is_read_about_as_its_singular(wordnet: WordNet) -> None:
    assert definitions(["magpies"], np.array([2]), wordnet) == {0: "magpie: long-tailed black-and-white crow"}


def test_mending_moves_a_word_towards_its_definition_only() -> None:
    vectors = np.eye(4, dtype=np.float32)
    mended = mend(vectors, [1], np.array([[0, 0, 1, 0]], dtype=np.float32))
    assert np.array_equal(mended[[0, 2, 3]], vectors[[0, 2, 3]])
    assert mended[1] == pytest.approx(np.array([0, 1, 2, 0]) / np.sqrt(5))
    assert np.array_equal(vectors, np.eye(4))  # what was given is not changed


def test_nothing_to_mend_is_no_error() -> None:
    vectors = np.eye(3, dtype=np.float32)
    assert np.array_equal(mend(vectors, [], np.empty((0, 3), np.float32)), vectors)


def test_reduced_rows_are_unit_and_half_precision() -> None:
    reduced = reduce(words_in_space(), 6)
    assert reduced.vectors.dtype == np.float16
    assert reduced.vectors.shape == (400, 6)
    assert np.linalg.norm(reduced.vectors.astype(np.float32), axis=1) == pytest.approx(np.ones(400), abs=1e-3)


def test_what_is_kept_grows_with_the_dimensions_up_to_all() -> None:
    vectors = words_in_space()
    kept = [reduce(vectors, dimension).kept for dimension in (1, 3, 7, 24)]
    assert kept == sorted(kept)
    assert kept[2] > 0.99  # the plane has six, and lies beside the origin
    assert kept[3] == pytest.approx(1)


def test_all_dimensions_keep_the_centred_cosines() -> None:
    vectors = words_in_space()
    centred = unit((vectors - vectors.mean(axis=0)).astype(np.float64))
    reduced = reduce(vectors, 24).vectors.astype(np.float32)
    assert reduced @ reduced.T == pytest.approx(centred @ centred.T, abs=5e-3)


def test_the_same_words_give_the_same_bytes() -> None:
    assert reduce(words_in_space(), 6).vectors.tobytes() == reduce(words_in_space(), 6).vectors.tobytes()


def test_an_axis_points_where_its_greatest_part_is_positive() -> None:
    axes, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(12, 12)))
    lengths = np.arange(24, 12, -1.0)  # different variances, so that the order of the axes is known
    vectors = np.concatenate([axes.T * lengths[:, None], -axes.T * lengths[:, None]]).astype(np.float32)
    reduced = reduce(vectors, 12).vectors[:12].astype(np.float32)
    greatest = axes[np.abs(axes).argmax(axis=0), np.arange(12)]
    assert {-1.0, 1.0} == set(np.sign(greatest))
    assert reduced == pytest.approx(np.diag(np.sign(greatest)), abs=2e-3)
