"""The recipe that puts MobileNetV2 into the space, as far as it goes without the network."""

from __future__ import annotations

import numpy as np

from trainer.recipes.mobilenet_v2 import head_of


def test_the_head_averages_class_vectors_by_probability() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(7, 5)).astype(np.float32)
    scores = random.normal(size=(3, 7)).astype(np.float32) * 4
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    given = head_of(vectors).predict(scores, verbose=0)
    np.testing.assert_allclose(given, weights @ vectors, rtol=1e-5, atol=1e-6)
