"""Calibration curves and histograms, against slow definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.relevance.calibration import LogisticCurve, Pairs, histogram, reliability

CURVE = LogisticCurve(4.0, -1.0)


@given(st.integers(0, 2**32))
def test_each_bin_has_its_mean_prediction_and_balanced_share(seed: int) -> None:
    random = np.random.default_rng(seed)
    right, wrong = (random.uniform(-1, 1, random.integers(1, 9)).astype(np.float32) for _ in range(2))
    found = reliability(CURVE, Pairs(right, wrong), bins=5)
    assert found is not None
    pairs = [(float(CURVE(s)), 1, 0.5 / len(right)) for s in right]
    pairs += [(float(CURVE(s)), 0, 0.5 / len(wrong)) for s in wrong]
    expected = []
    for number in range(5):
        inside = [pair for pair in pairs if min(int(pair[0] * 5), 4) == number]
        if inside:
            weight = sum(w for _, _, w in inside)
            expected.append(
                (sum(p * w for p, _, w in inside) / weight, sum(r * w for _, r, w in inside) / weight, weight)
            )
    assert np.transpose([found.predicted, found.right, found.weight]) == pytest.approx(np.array(expected))
    assert found.error == pytest.approx(sum(abs(p - r) * w for p, r, w in expected))


def test_pairs_drawn_from_the_curve_show_hardly_any_error() -> None:
    random = np.random.default_rng(0)
    similarity = random.uniform(-0.5, 1, 100_000).astype(np.float32)
    is_right = random.random(len(similarity)) < LogisticCurve(4.0, -1.0)(similarity)
    pairs = Pairs(similarity[is_right], similarity[~is_right])
    even = reliability(CURVE, pairs)
    more_wrong = reliability(CURVE, Pairs(pairs.right, np.tile(pairs.wrong, 7)))
    assert even is not None
    assert more_wrong is not None
    assert even.error < 0.05
    assert more_wrong.error == pytest.approx(even.error)


def test_there_is_no_reliability_of_right_pairs_alone() -> None:
    assert reliability(CURVE, Pairs(np.ones(3, np.float32), np.empty(0, np.float32))) is None


def test_histograms_are_densities_over_the_same_edges() -> None:
    random = np.random.default_rng(0)
    found = histogram(Pairs(random.normal(0.6, 0.1, 500).astype(np.float32), np.zeros(9, np.float32)), bins=20)
    widths = np.diff(found.edges)
    assert (found.right * widths).sum() == pytest.approx(1)
    assert (found.wrong * widths).sum() == pytest.approx(1)
    assert found.wrong.argmax() < found.right.argmax()
