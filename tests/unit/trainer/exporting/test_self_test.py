"""The pictures of a bundle's self-test."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.exporting.export import self_test_pictures


@pytest.mark.parametrize("size", [8, 64, 224])
def test_pictures_are_the_same_again_and_full_of_colours(size: int) -> None:
    pictures = self_test_pictures(size)
    assert pictures.shape == (4, size, size, 3)
    assert pictures.dtype == np.uint8
    np.testing.assert_array_equal(pictures, self_test_pictures(size))
    assert pictures.std(axis=(1, 2)).min() > 20
