"""Fitting a head in a real process that is killed at some epoch: the next one ends with the same head.

What is not killed runs in the tests' own process, where TensorFlow is loaded already.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.own_bundle import done
from tests.services.service_process import environment
from trainer.features.cache import CacheSpec, FeatureCache
from trainer.features.feature_set import FeatureSet, write_feature_set
from trainer.keras_files import load_network
from trainer.words.word_space import convert_words

SECONDS = 120.0
IMAGES, CLASSES, FEATURES = 300, 5, 20
# Half of the labels are chance, so that the held-out loss gets worse after a while and the training ends early.
SETTINGS = """
hidden = [64]
dropout = 0.3
epochs = 60
batch_size = 16
learning_rate = 0.01
patience = 8
class_weights = "balanced"
held_out = 0.2
"""


def make_inputs(folder: Path) -> None:
    chance = np.random.default_rng(0)
    lines = (f"word{label} {' '.join(map(str, chance.normal(size=50)))}\n" for label in range(CLASSES))
    (folder / "glove.txt").write_text("".join(lines))
    convert_words(folder / "glove.txt", folder / "words")
    labels = np.minimum(chance.integers(CLASSES, size=IMAGES), chance.integers(CLASSES, size=IMAGES))
    centres = chance.normal(size=(CLASSES, FEATURES))
    values = centres[labels][:, None] + chance.normal(size=(IMAGES, 2, FEATURES))
    noisy = np.where(chance.random(IMAGES) < 0.5, chance.integers(CLASSES, size=IMAGES), labels)
    keys = [hashlib.sha256(str(number).encode()).digest() for number in range(IMAGES)]
    with FeatureCache(folder / "cache", CacheSpec("test", ("plain", "mirrored"), FEATURES)) as cache:
        cache.append(keys, values)
        names = tuple(f"word{label}" for label in range(CLASSES))
        data = FeatureSet(cache.memory_map(), cache.rows_of(keys), noisy[:, None], names)
    write_feature_set(folder / "features.npz", data, folder / "cache")
    (folder / "head.toml").write_text(SETTINGS)


def fit(folder: Path, run: Path) -> list[str]:
    """The command."""
    given = ("--features", folder / "features.npz", "--words", folder / "words", "--config", folder / "head.toml")
    return ["fit", *map(str, given), "--run", str(run)]


def start(folder: Path, command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", *command],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def epochs_done(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return len(metrics.read_text().splitlines()) if metrics.exists() else 0


def test_a_killed_fit_ends_with_the_same_figures_and_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMSEARCH_DATA", str(tmp_path))
    make_inputs(tmp_path)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    done(*fit(tmp_path, whole))
    epochs = epochs_done(whole)
    assert 9 < epochs < 60
    seed = int.from_bytes(os.urandom(4))
    stop = random.Random(seed).randint(1, epochs // 2)
    with start(tmp_path, fit(tmp_path, broken)) as process:
        deadline = time.monotonic() + SECONDS
        while epochs_done(broken) < stop:
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait(SECONDS)
    assert not (broken / "head.keras").exists(), f"seed {seed}"
    done(*fit(tmp_path, broken))
    assert (broken / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes(), f"seed {seed}"
    mine, theirs = (load_network(run / "head.keras").get_weights() for run in (broken, whole))
    for left, right in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(left, right, f"seed {seed}")
