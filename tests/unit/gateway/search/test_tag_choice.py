"""Tags for different things, nearest first."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.search.tag_choice import choose_distinct


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_synonym_is_replaced_by_another_thing() -> None:
    dog, hound, grass = [1.0, 0.0, 0.0], [0.99, 0.1, 0.0], [0.0, 0.0, 1.0]
    assert choose_distinct([0.60, 0.59, 0.55], _unit(np.array([dog, hound, grass])), 2) == [0, 2]


@given(count=st.integers(1, 12), words=st.integers(0, 30), seed=st.integers(0, 2**32 - 1))
def test_the_nearest_tag_is_chosen_and_order_is_kept(count: int, words: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    similarities = np.sort(random.uniform(-1, 1, words))[::-1]
    chosen = choose_distinct(similarities.tolist(), _unit(random.normal(size=(words, 5))), count)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(count, words)
    assert not words or chosen[0] == 0
