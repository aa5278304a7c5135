"""Bundles keep kernels in half precision; plain Keras reads them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from trainer.fitting.head import build_head, project, save_head
from trainer.fitting.settings import HeadSettings
from trainer.keras_files import halve_weights, load_network


def test_a_halved_file_loads_with_plain_keras_and_agrees(tmp_path: Path) -> None:
    head = build_head(HeadSettings(hidden=(200,)), 100)
    save_head(head, tmp_path / "head.keras")
    size = (tmp_path / "head.keras").stat().st_size
    features = np.random.default_rng(0).normal(size=(5, 100))
    before = project(head, features)
    halve_weights(tmp_path / "head.keras")
    assert (tmp_path / "head.keras").stat().st_size < 0.55 * size
    halved = load_network(tmp_path / "head.keras")
    assert {weight.dtype for weight in halved.weights} == {"float32"}
    np.testing.assert_allclose(project(halved, features), before, atol=1e-3)


def test_the_same_weights_always_make_the_same_file(tmp_path: Path) -> None:
    head = build_head(HeadSettings(), 10)
    for name in ("a.keras", "b.keras"):
        save_head(head, tmp_path / name)
        halve_weights(tmp_path / name)
        # HDF5 can note times in whole seconds: the files must be from two of them.
        written = int(time.time())
        while int(time.time()) == written:
            time.sleep(0.05)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_a_weight_beyond_float16_is_refused_and_the_file_kept(tmp_path: Path) -> None:
    head = build_head(HeadSettings(), 10)
    head.layers[-1].kernel.assign(np.full((10, 300), 1e6, dtype=np.float32))
    save_head(head, tmp_path / "head.keras")
    before = (tmp_path / "head.keras").read_bytes()
    with pytest.raises(ValueError, match="beyond float16"):
        halve_weights(tmp_path / "head.keras")
    assert (tmp_path / "head.keras").read_bytes() == before
