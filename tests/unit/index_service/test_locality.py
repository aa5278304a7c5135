"""The order in which neighbouring vectors are close together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from index_service.engines.locality import local_order


@given(st.integers(0, 3_000), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_the_order_has_every_position_once(count: int, dimension: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).integers(0, 3, (count, dimension)).astype(np.float32)
    order = local_order(vectors)
    assert sorted(order.tolist()) == list(range(count))


def test_neighbours_in_the_order_are_near() -> None:
    vectors = np.random.default_rng(0).random((5_000, 3)).astype(np.float32)
    blocks = vectors[local_order(vectors)][:4_864].reshape(-1, 64, 3)
    spread = (blocks.max(axis=1) - blocks.min(axis=1)).prod(axis=1)
    assert np.median(spread) < 0.2, "64 consecutive vectors of 5,000 fill a small part of the cube"
