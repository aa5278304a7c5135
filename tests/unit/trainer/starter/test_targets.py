"""The targets of the backbone's classifier."""

from __future__ import annotations

import numpy as np

from trainer.starter.pretrain import SMOOTHING, Targets

LABELS = np.array([2, 0, 1])
CHOSEN = np.array([0, 2])


def test_a_label_gets_all_but_what_smoothing_spreads() -> None:
    targets = Targets(LABELS, classes=4).of(CHOSEN)
    assert targets.dtype == np.float32
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(targets[[0, 1], [2, 1]], 1 - SMOOTHING + SMOOTHING / 4, atol=1e-6)


def test_a_teacher_gets_its_share() -> None:
    teacher = np.random.default_rng(0).dirichlet(np.ones(4), size=3).astype(np.float16)
    mixed = Targets(LABELS, 4, teacher, teacher_share=0.7).of(CHOSEN)
    np.testing.assert_allclose(mixed, 0.3 * Targets(LABELS, 4).of(CHOSEN) + 0.7 * teacher[CHOSEN], atol=1e-3)
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-6)
