"""A search over settings in a real process that is killed: the same command continues after the completed trials.

What is not killed runs in the tests' own process, where TensorFlow is loaded already.
"""

from __future__ import annotations

import hashlib
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from tests.own_bundle import done
from tests.services.service_process import environment
from trainer.features.cache import CacheSpec, FeatureCache
from trainer.features.feature_set import FeatureSet, write_feature_set

SECONDS = 180.0
IMAGES, CLASSES, FEATURES, DIMENSION, TRIALS = 200, 5, 16, 50, 5
DONE = (TrialState.COMPLETE, TrialState.PRUNED)


def draw(folder: Path) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(CLASSES, size=(IMAGES, 1))
    rows = random.normal(size=(CLASSES, FEATURES))[labels[:, 0]] + 2 * random.normal(size=(IMAGES, FEATURES))
    keys = [hashlib.sha256(number.to_bytes(2)).digest() for number in range(IMAGES)]
    with FeatureCache(folder / "cache", CacheSpec("test", ("plain",), FEATURES)) as cache:
        cache.append(keys, rows[:, None])
        data = FeatureSet(cache.memory_map(), cache.rows_of(keys), labels, tuple("abcde"), np.arange(IMAGES) % 3 == 0)
    write_feature_set(folder / "training.npz", data, folder / "cache")
    vectors = random.normal(size=(40, DIMENSION))
    (folder / "words").mkdir()
    (folder / "words" / "words.txt").write_text("\n".join([*"abcde", *(f"word{n}" for n in range(35))]) + "\n")
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(folder / "words" / "words.npy", unit.astype(np.float16))


def tune(folder: Path, run: str) -> list[str]:
    """The command."""
    given = ["tune", str(folder / "training.npz"), "--words", str(folder / "words"), "--run", str(folder / run)]
    return [*given, "--trials", str(TRIALS), "--epochs", "4", "--batch-size", "64"]


def start(folder: Path, command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", *command],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def states(run: Path) -> list[str]:
    """The states of the trials so far; none while the file does not exist or is being written."""
    try:
        with sqlite3.connect(f"file:{run / 'study.db'}?mode=ro", uri=True, timeout=0.1) as study:
            return [state for (state,) in study.execute("SELECT state FROM trials ORDER BY number")]
    except sqlite3.OperationalError:
        return []


def stop_in_a_trial(process: subprocess.Popen[str], run: Path) -> None:
    """Block the process when two trials are done and one runs."""
    deadline = time.monotonic() + SECONDS
    while True:
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < deadline
        process.send_signal(signal.SIGSTOP)
        found = states(run)
        if found.count("COMPLETE") >= 2 and "RUNNING" in found:
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.05)


def trials(run: Path) -> list[FrozenTrial]:
    return optuna.load_study(study_name="tune", storage=f"sqlite:///{run / 'study.db'}").trials


def test_a_killed_search_goes_on_and_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMSEARCH_DATA", str(tmp_path))
    draw(tmp_path)
    broken, straight = tmp_path / "broken", tmp_path / "straight"
    with start(tmp_path, tune(tmp_path, "broken")) as process:
        stop_in_a_trial(process, broken)
        process.kill()
        process.wait(SECONDS)
    before = trials(broken)
    [cut_off] = [trial for trial in before if trial.state == TrialState.RUNNING]
    assert not (broken / "head.toml").exists()

    done(*tune(tmp_path, "broken"))
    after = trials(broken)
    assert after[cut_off.number].state == TrialState.FAIL
    ended = [trial for trial in after if trial.state in DONE]
    assert len(ended) == TRIALS
    kept = [trial for trial in before if trial.state in DONE]
    assert [(trial.number, trial.params, trial.value) for trial in ended[: len(kept)]] == [
        (trial.number, trial.params, trial.value) for trial in kept
    ]
    assert cut_off.params.items() <= ended[len(kept)].params.items()

    done(*tune(tmp_path, "straight"))
    expected = trials(straight)
    assert [trial.params for trial in ended] == [trial.params for trial in expected]
    assert [trial.state for trial in ended] == [trial.state for trial in expected]

    def best(run: Path) -> list[str]:
        return (run / "head.toml").read_text().splitlines()[1:]  # without the trial's number

    assert best(broken) == best(straight)
