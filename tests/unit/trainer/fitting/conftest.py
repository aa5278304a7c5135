"""A small training set: images in clusters, and a space with a vector for each cluster."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.features.feature_set import FeatureSet
from trainer.fitting import head
from trainer.labels.space import LabelSpace

LABELS, FEATURES, DIMENSION, IMAGES = 4, 12, 6, 160


@pytest.fixture(autouse=True)
def _a_checkpoint_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Independently of the machine's speed: tests interrupt trainings after an epoch, and resume from it."""
    monkeypatch.setattr(head, "_CHECKPOINT_SECONDS", 0.0)


@pytest.fixture(scope="session")
def space() -> LabelSpace:
    random = np.random.default_rng(1)
    return LabelSpace.of_labels(list("abcd"), random.normal(size=(LABELS, DIMENSION)))


@pytest.fixture(scope="session")
def data() -> FeatureSet:
    """Two noisy views of 160 images in four clusters, stored in another order than the images'."""
    random = np.random.default_rng(2)
    labels = random.integers(LABELS, size=IMAGES)
    centres = random.normal(size=(LABELS, FEATURES))
    views = centres[labels][:, None] + 0.3 * random.normal(size=(IMAGES, 2, FEATURES))
    rows = random.permutation(IMAGES)
    cache = np.empty((IMAGES, 2, FEATURES), dtype=np.float16)
    cache[rows] = views
    return FeatureSet(cache, rows, labels[:, None], tuple("abcd"))
