"""The weights of a vocabulary's rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.text import row_weights
from model.text.embedding import embed_terms
from model.text.query import parse
from model.text.row_weights import sif_weights
from tests.unit.model.made_up_vocabulary import made_up

WORDS = ("dog", "cat", "house", "sea")


@settings(deadline=None)  # a machine may be busy
@given(st.integers(1, 2_000), st.floats(1e-6, 1e3))
def test_weights_rise_with_the_rank_as_in_the_paper(count: int, a: float) -> None:
    weights = sif_weights(count, a)
    assert (weights.dtype, weights.shape) == (np.float32, (count,))
    assert np.all(np.diff(weights) >= 0)
    assert np.all((weights > 0) & (weights <= 1))
    share = np.array([1 / (rank + 2.7) for rank in range(count)])
    np.testing.assert_allclose(weights, a / (a + share / share.sum()), rtol=1e-5)


@pytest.mark.parametrize("a", [0.0, -1.0, float("nan")])
def test_a_must_be_positive(a: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        sif_weights(3, a)


def test_all_rows_count_the_same_by_default() -> None:
    assert row_weights.SIF_A is None
    np.testing.assert_array_equal(made_up(WORDS).weights, np.ones(4, np.float32))


def test_one_constant_enables_row_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = made_up(WORDS)
    monkeypatch.setattr(row_weights, "SIF_A", 0.1)
    weighted = made_up(WORDS)
    weights = sif_weights(4, 0.1)
    np.testing.assert_array_equal(weighted.weights, weights)
    dog, sea = (embed_terms(parse(word), weighted) for word in ("dog", "sea"))
    assert (dog.length, sea.length) == pytest.approx((1, 1))
    np.testing.assert_array_equal(dog.vector, embed_terms(parse("dog"), plain).vector)
    mean = weights[0] * dog.vector + weights[3] * sea.vector
    for query in ("dog sea", '"dog sea"'):
        found = embed_terms(parse(query), weighted).vector
        np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-3)
