"""The teacher's probabilities: for each picture, from a classifier that was not trained on it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.features.feature_set import FeatureSet
from trainer.starter.pictures import held_out_probabilities

CLASSES, EACH = 3, 400


@pytest.fixture(autouse=True)
def _few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.starter.pictures.TEACHER_BATCH", 16)


def features(labels: NDArray[np.int64]) -> FeatureSet:
    """Noise around the class's own direction."""
    noise = np.random.default_rng(1).normal(size=(len(labels), 1, 8)).astype(np.float32)
    noise[np.arange(len(labels)), 0, labels] += 3
    return FeatureSet(noise, np.arange(len(labels)), labels[:, None], tuple("abc"))


def test_pictures_are_classified_by_their_looks() -> None:
    labels = np.arange(CLASSES * EACH) % CLASSES
    probabilities = held_out_probabilities(features(labels))
    assert probabilities.shape == (len(labels), CLASSES)
    assert probabilities.dtype == np.float16
    np.testing.assert_allclose(probabilities.astype(np.float32).sum(axis=1), 1, atol=0.01)
    assert np.mean(probabilities.argmax(axis=1) == labels) > 0.6


def test_similar_pictures_correct_a_wrong_label() -> None:
    labels = np.arange(CLASSES * EACH) % CLASSES
    seen = features(labels)
    wrong = labels.copy()
    wrong[:10] = (labels[:10] + 1) % CLASSES
    probabilities = held_out_probabilities(FeatureSet(seen.cache, seen.rows, wrong[:, None], seen.names))
    rows = np.arange(10)
    assert np.mean(probabilities[rows, labels[:10]] > probabilities[rows, wrong[:10]]) > 0.7
