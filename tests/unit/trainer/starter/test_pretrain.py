"""Training the backbone: what is seen, and what an interruption changes (nothing)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from trainer.errors import RunMismatch
from trainer.starter import pretrain as module
from trainer.starter.classifier import Classifier, ClassifierSettings
from trainer.starter.pictures import Pictures
from trainer.starter.pretrain import Cycle, PretrainSettings, Targets, train_backbone

CLASSES = 22  # two of photos, twenty of scenes
SETTINGS = PretrainSettings(
    cycles=(Cycle((32, 32), peak_rate=0.05), Cycle((32,), peak_rate=0.02)),
    classifier=ClassifierSettings(average=0.9),
    batch=8,
)


def pictures(count: int, seed: int) -> Pictures:
    """Noise around a colour that identifies the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    colors = np.random.default_rng(0).integers(40, 215, (CLASSES, 3))
    noise = rng.integers(-30, 31, (count, 64, 64, 3))
    return Pictures((colors[labels][:, None, None] + noise).astype(np.uint8), labels.astype(np.int64))


TRAINING, VALIDATION = pictures(88, 1), pictures(44, 2)
TARGETS = Targets(TRAINING.labels, CLASSES)


def train(folder: Path, settings: PretrainSettings = SETTINGS) -> keras.Model:
    return train_backbone(TRAINING, VALIDATION, CLASSES, folder, settings)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model]:
    """The folder and the backbone of a training that nothing interrupted; it takes most of a minute."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(folder)


def dies_in(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: Callable[..., Any] = module._batches

    def interrupted(pixels: Any, targets: Targets, settings: PretrainSettings, number: int) -> Any:
        for place, batch in enumerate(batches(pixels, targets, settings, number)):
            if number == epoch and place == 5:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(module, "_batches", interrupted)


def test_an_interrupted_training_ends_as_one_that_was_not(
    trained: tuple[Path, keras.Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole = trained
    with monkeypatch.context() as patched:
        dies_in(1, patched)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "broken")
    assert not (tmp_path / "broken" / "backbone.keras").exists()
    resumed = train(tmp_path / "broken")
    assert len((tmp_path / "broken" / "metrics.jsonl").read_text().splitlines()) == len(SETTINGS.crops)
    for mine, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        # Threads add up floats in no fixed order; weights of an epoch more or less differ by 1e-2.
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)


def test_the_backbone_maps_pixels_of_any_size_to_features(trained: tuple[Path, keras.Model]) -> None:
    _, backbone = trained
    for edge in (32, 64, 96):
        features = backbone.predict(np.zeros((2, edge, edge, 3), np.uint8), verbose=0)
        assert features.shape == (2, 384)
        assert features.dtype == np.float32
        assert np.isfinite(features).all()


def test_a_folder_of_other_settings_is_refused(trained: tuple[Path, keras.Model]) -> None:
    folder, _ = trained
    with pytest.raises(RunMismatch, match="batch was 8, is 16"):
        train(folder, replace(SETTINGS, batch=16))


def test_training_lowers_the_loss() -> None:
    inputs = keras.Input((None, None, 3), dtype="uint8")
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs))
    classifier = Classifier(keras.Model(inputs, keras.layers.Dense(CLASSES)(pooled)), ClassifierSettings())
    batches = [batch for epoch in range(3) for batch in module._batches(TRAINING.pixels, TARGETS, SETTINGS, epoch)]
    losses: list[float] = []
    classifier.train(batches * 5, lambda steps: 0.5, lambda steps, loss: losses.append(loss))
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.5


def test_boxes_lie_in_the_picture_and_half_are_mirrored() -> None:
    top, left, bottom, right = module._boxes(np.random.default_rng(0), 4_000).T
    assert min(top.min(), left.min(), right.min()) >= 0
    assert max(bottom.max(), left.max(), right.max()) <= 1
    area = (bottom - top) * np.abs(right - left)
    assert area.min() > 0.3
    assert area.max() <= 1
    assert 0.45 < (left > right).mean() < 0.55


def test_an_epochs_batches_are_its_own_and_the_same_again() -> None:
    def seen(epoch: int) -> list[np.ndarray[Any, Any]]:
        return [pixels.numpy() for pixels, _ in module._batches(TRAINING.pixels, TARGETS, SETTINGS, epoch)]

    first, again, other = seen(0), seen(0), seen(1)
    assert first[0].shape == (8, 32, 32, 3)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_the_rate_rises_to_its_peak_and_falls_once_a_cycle() -> None:
    settings = PretrainSettings(cycles=(Cycle((32,) * 10, 0.2), Cycle((48,) * 5, 0.1)))
    rates = [settings.rate(step / 100) for step in range(1600)]
    assert rates[200] == pytest.approx(0.2, abs=1e-3)
    assert rates[1100] == pytest.approx(0.1, abs=1e-3)
    assert rates[999] < 1e-3
    assert rates[1500] == pytest.approx(1e-4)
    turns = np.sign(np.diff(rates[:1500]))
    assert list(turns[:-1][turns[1:] != turns[:-1]]) == [1, -1, 1]
