"""Computing features in a real process that is killed: its work is kept, and the next process finishes it.

What is not killed runs in the tests' own process, where TensorFlow is loaded already.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.own_bundle import done
from tests.services.service_process import environment
from trainer.backbones.building import build_backbone, save_backbone
from trainer.features.feature_set import read_feature_set

SECONDS = 120.0
IMAGES, BATCH, SIZE = 480, 64, 64
BLOCKING = 5 * BATCH  # beyond what is read before the first batch is computed


def draw(folder: Path) -> list[Path]:
    random = np.random.default_rng(0)
    files = []
    for number in range(IMAGES):
        path = folder / ("cat" if number < IMAGES // 2 else "dog") / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(path)
        files.append(path)
    return files


def features(folder: Path, out: Path) -> list[str]:
    """The command."""
    return ["features", str(folder / "images"), "--backbone", str(folder / "backbone.keras"), "--out", str(out)]


def start(out: Path, command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", *command],
        env=environment(out),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_killed_computation_of_features_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = draw(tmp_path / "images")
    save_backbone(build_backbone("mobilenetv3-small", "random", input_size=SIZE), tmp_path / "backbone.keras")
    caches = tmp_path / "broken" / "cache" / "features"

    def computed() -> int:
        return sum(path.stat().st_size // 32 for path in caches.glob("*/keys.bin"))

    with start(tmp_path / "broken", features(tmp_path, tmp_path / "broken")) as process:
        wait_until(lambda: any(caches.glob("*/keys.bin")), process)
        # The data set is surveyed by now. A pipe without a writer blocks the process, so that it cannot finish.
        aside = files[BLOCKING].rename(tmp_path / "aside.png")
        os.mkfifo(files[BLOCKING])
        wait_until(lambda: computed() >= BATCH, process)
        process.send_signal(signal.SIGKILL)
        process.wait(SECONDS)
    kept = computed()
    assert BATCH <= kept <= BLOCKING
    assert not (tmp_path / "broken" / "training.npz").exists()
    files[BLOCKING].unlink()
    aside.rename(files[BLOCKING])
    [folder] = caches.iterdir()
    keys, rows = (folder / "keys.bin").read_bytes(), (folder / "rows.bin").read_bytes()

    monkeypatch.setenv("SEMSEARCH_DATA", str(tmp_path / "broken"))
    out = done(*features(tmp_path, tmp_path / "broken"))
    assert f"{IMAGES} images of 2 classes" in out.replace("\n", " ")
    assert computed() == IMAGES, "an image was computed twice"
    row = (folder / "rows.bin").stat().st_size // IMAGES
    assert (folder / "keys.bin").read_bytes()[: kept * 32] == keys[: kept * 32]
    assert (folder / "rows.bin").read_bytes()[: kept * row] == rows[: kept * row]

    monkeypatch.setenv("SEMSEARCH_DATA", str(tmp_path / "straight"))
    done(*features(tmp_path, tmp_path / "straight"))
    everything = np.arange(IMAGES)
    broken, straight = (read_feature_set(tmp_path / name / "training.npz") for name in ("broken", "straight"))
    np.testing.assert_array_equal(broken.labels, straight.labels)
    np.testing.assert_array_equal(broken.validation, straight.validation)
    np.testing.assert_allclose(broken.take(everything), straight.take(everything), rtol=0.01, atol=1e-3)
