"""Orders and curves: the measures, each against a slow definition or a known case."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from trainer.measures.ranking import average_precision, hit_at, precision_at, top
from trainer.relevance.calibration import fit_logistic
from trainer.relevance.thresholds import choose_threshold, measure_threshold

scores = arrays.arrays(np.float32, (5, 7), elements=st.integers(-3, 3).map(float))


@given(scores, arrays.arrays(np.int64, 5, elements=st.integers(0, 6)))
def test_hit_at_k_counts_rows_with_a_true_column_in_the_first_k(
    similarity: NDArray[np.float32], truth: NDArray[np.int64]
) -> None:
    found = hit_at([1, 3], similarity, np.eye(7, dtype=np.bool_)[truth])
    for k, share in found.items():
        before = [
            sum(other > row[true] or (other == row[true] and place < true) for place, other in enumerate(row))
            for row, true in zip(similarity, truth, strict=True)
        ]
        assert share == pytest.approx(np.mean([count < k for count in before]))


@given(scores, arrays.arrays(np.bool_, (5, 7)))
def test_precision_at_k_is_relative_to_the_best_possible(
    similarity: NDArray[np.float32], relevant: NDArray[np.bool_]
) -> None:
    relevant[:, 0] = True
    precision = precision_at(3, similarity, relevant)
    for row, right, share in zip(similarity, relevant, precision, strict=True):
        best = sorted(range(7), key=lambda place: (-row[place], place))[:3]
        assert share == pytest.approx(sum(right[place] for place in best) / min(3, right.sum()))


def test_precision_of_a_query_that_nothing_matches_is_refused() -> None:
    with pytest.raises(ValueError, match="without any relevant"):
        precision_at(3, np.zeros((1, 4)), np.zeros((1, 4), dtype=bool))


def test_equal_scores_keep_their_order() -> None:
    assert top(np.array([[1.0, 2.0, 2.0, 0.0]]), 3).tolist() == [[1, 2, 0]]


def test_a_logistic_fit_recovers_the_true_parameters() -> None:
    random = np.random.default_rng(0)
    similarity = random.uniform(-1, 1, 200_000)
    right = random.random(len(similarity)) < 1 / (1 + np.exp(-(8 * similarity)))
    curve = fit_logistic(similarity[right], similarity[~right])
    assert curve.slope == pytest.approx(8, rel=0.03)
    assert curve.offset == pytest.approx(0, abs=0.1)


def test_right_and_wrong_pairs_have_equal_total_weight() -> None:
    random = np.random.default_rng(0)
    right, wrong = random.normal(0.6, 0.1, 2_000), random.normal(0.2, 0.1, 2_000)
    even, uneven = fit_logistic(right, wrong), fit_logistic(right, np.tile(wrong, 50))
    assert float(uneven(np.array(0.4))) == pytest.approx(float(even(np.array(0.4))), abs=0.01)
    assert 0.45 < float(even(np.array(0.4))) < 0.55


@pytest.mark.parametrize("gap", [0.001, 0.5])
def test_separable_pairs_still_give_a_finite_steep_curve(gap: float) -> None:
    curve = fit_logistic(np.full(50, 0.3 + gap), np.full(50, 0.3))
    assert np.isfinite([curve.slope, curve.offset]).all()
    assert curve.slope > 0


def test_pairs_that_do_not_differ_at_all_make_a_flat_curve() -> None:
    curve = fit_logistic(np.full(4, 0.5), np.full(4, 0.5))
    assert curve(np.array([0.1, 0.9])) == pytest.approx(0.5, abs=1e-3)


def test_similarity_that_misleads_gives_a_flat_rising_curve() -> None:
    curve = fit_logistic(np.array([0.1, 0.2]), np.array([0.8, 0.9]))
    assert curve.slope > 0
    assert curve(np.array([-1.0, 1.0])) == pytest.approx([0.5, 0.5], abs=0.01)


def test_a_threshold_empties_the_given_share_of_queries() -> None:
    best_wrong = np.linspace(0, 1, 101)
    right = np.array([0.5, 0.79, 0.81, 0.9])
    chosen = choose_threshold(right, best_wrong, empty=0.8)
    assert chosen.empty == pytest.approx(0.8, abs=0.011)
    assert chosen.kept == 0.5
    assert measure_threshold(0.0, right, best_wrong).empty == 0


@given(st.integers(0, 2**32))
def test_average_precision_matches_its_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    similarity, relevant = random.integers(-3, 4, (5, 7)).astype(np.float32), random.random((5, 7)) < 0.4
    relevant[:, 0] = True
    for row, right, average in zip(similarity, relevant, average_precision(similarity, relevant), strict=True):
        order = sorted(range(7), key=lambda place: (-row[place], place))
        precisions = [
            sum(right[other] for other in order[: rank + 1]) / (rank + 1)
            for rank, place in enumerate(order)
            if right[place]
        ]
        assert average == pytest.approx(np.mean(precisions))


@given(st.integers(0, 2**32), st.integers(1, 9))
def test_the_first_k_are_those_of_a_stable_sort(seed: int, k: int) -> None:
    similarity = np.random.default_rng(seed).integers(-3, 4, (5, 7)).astype(np.float32)
    expected = [sorted(range(7), key=lambda place: (-row[place], place))[:k] for row in similarity]
    assert top(similarity, k).tolist() == expected


def test_average_precision_needs_a_relevant_item() -> None:
    with pytest.raises(ValueError, match="without any relevant"):
        average_precision(np.zeros((1, 4)), np.zeros((1, 4), dtype=bool))
