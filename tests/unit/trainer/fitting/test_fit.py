"""Training a head: it learns, it can be interrupted, and the same seed gives the same head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trainer.errors import RunMismatch, TrainingSetUnusable
from trainer.features.computing import FeatureSet
from trainer.fitting.head import fit_head, project, save_head
from trainer.fitting.settings import HeadSettings, LossSettings
from trainer.keras_files import load_network
from trainer.labels.space import LabelSpace, unit_rows
from trainer.runs import Run

LABELS, FEATURES, DIMENSION = 4, 12, 6
SETTINGS = HeadSettings(
    hidden=(16,), dimension=DIMENSION, dropout=0.2, epochs=6, batch_size=16, learning_rate=0.02, seed=3
)


@pytest.fixture(scope="module")
def space() -> LabelSpace:
    random = np.random.default_rng(1)
    return LabelSpace.of_labels(list("abcd"), random.normal(size=(LABELS, DIMENSION)))


@pytest.fixture(scope="module")
def data() -> FeatureSet:
    """Two noisy views of 160 images in four clusters, stored in another order than the images'."""
    random = np.random.default_rng(2)
    labels = random.integers(LABELS, size=160)
    centres = random.normal(size=(LABELS, FEATURES))
    views = centres[labels][:, None] + 0.3 * random.normal(size=(160, 2, FEATURES))
    rows = random.permutation(160)
    cache = np.empty((160, 2, FEATURES), dtype=np.float16)
    cache[rows] = views
    return FeatureSet(cache, rows, labels[:, None], tuple("abcd"))


@pytest.mark.parametrize("kind", ["cosine", "hinge-rank", "softmax"])
def test_images_land_nearest_to_their_labels_vector(
    tmp_path: Path, data: FeatureSet, space: LabelSpace, kind: str
) -> None:
    settings = replace(SETTINGS, loss=LossSettings(kind), epochs=10)  # type: ignore[arg-type]
    run = Run(tmp_path, settings)
    head = fit_head(run, data, space, settings)
    vectors = project(head, data.take(np.arange(len(data))))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.mean(np.argmax(vectors @ space.vectors.T, axis=1) == data.labels[:, 0]) > 0.95
    assert run.history()[-1]["held_out_hit@1"] > 0.9
    assert [line["epoch"] for line in run.history()] == list(range(1, 11))


def test_an_image_that_is_for_validation_is_never_trained_on(
    tmp_path: Path, data: FeatureSet, space: LabelSpace
) -> None:
    """Those for validation have labels that contradict the others': learnt, they would not all be wrong."""
    validation = np.arange(len(data)) % 4 == 0
    wrong = np.where(validation[:, None], (data.labels + 1) % LABELS, data.labels)
    settings = replace(SETTINGS, loss=LossSettings("softmax"), epochs=10)
    run = Run(tmp_path, settings)
    fit_head(run, replace(data, labels=wrong, validation=validation), space, settings)
    assert run.history()[-1]["held_out_hit@1"] < 0.05


def test_images_of_two_labels_are_found_by_either(tmp_path: Path, data: FeatureSet, space: LabelSpace) -> None:
    both = np.concatenate([data.labels, (data.labels + 1) % LABELS], axis=1)
    both[::3, 1] = -1
    settings = replace(SETTINGS, loss=LossSettings("joint"), epochs=10)
    run = Run(tmp_path, settings)
    fit_head(run, replace(data, labels=both), space, settings)
    assert run.history()[-1]["held_out_hit@1"] > 0.9


def test_an_interrupted_training_ends_as_if_it_had_not_been(
    tmp_path: Path, data: FeatureSet, space: LabelSpace
) -> None:
    def interrupt(epoch: int, figures: dict[str, float]) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    straight = fit_head(Run(tmp_path / "straight", SETTINGS), data, space, SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        fit_head(Run(tmp_path / "broken", SETTINGS), data, space, SETTINGS, interrupt)
    epochs: list[int] = []
    resumed = fit_head(
        Run(tmp_path / "broken", SETTINGS), data, space, SETTINGS, lambda epoch, figures: epochs.append(epoch)
    )
    assert epochs == [4, 5, 6]
    features = data.take(np.arange(len(data)))
    np.testing.assert_allclose(project(resumed, features), project(straight, features), atol=1e-5)
    assert len(list((tmp_path / "broken").glob("*.weights.h5"))) == 1


def test_another_seed_gives_another_head(tmp_path: Path, data: FeatureSet, space: LabelSpace) -> None:
    features = data.take(np.arange(len(data)))
    first, second = (
        project(fit_head(Run(tmp_path / str(seed), settings), data, space, settings), features)
        for seed, settings in ((seed, replace(SETTINGS, seed=seed, epochs=1)) for seed in (1, 2))
    )
    assert np.abs(first - second).max() > 0.1


def test_a_saved_head_gives_the_same_vectors(tmp_path: Path, data: FeatureSet, space: LabelSpace) -> None:
    settings = replace(SETTINGS, epochs=1)
    head = fit_head(Run(tmp_path, settings), data, space, settings)
    save_head(head, tmp_path / "head.keras")
    features = data.take(np.arange(20))
    np.testing.assert_allclose(
        project(load_network(tmp_path / "head.keras"), features), project(head, features), atol=1e-6
    )


def test_a_folder_with_another_runs_settings_is_refused_and_says_which(tmp_path: Path) -> None:
    Run(tmp_path, SETTINGS)
    with pytest.raises(RunMismatch, match="seed was 3, is 4"):
        Run(tmp_path, replace(SETTINGS, seed=4))


def test_figures_of_a_repeated_epoch_replace_the_first(tmp_path: Path) -> None:
    run = Run(tmp_path, SETTINGS)
    for epoch, loss in ((1, 0.5), (2, 0.4), (2, 0.3)):
        run.record(epoch, {"loss": loss})
    assert run.history() == [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.3}]


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_a_label_without_a_direction_is_refused(bad: float) -> None:
    with pytest.raises(TrainingSetUnusable, match="zero or not finite"):
        unit_rows(np.array([[1.0, 0.0], [bad, 0.0]]))


@pytest.mark.parametrize("change", [{"epochs": 0}, {"dropout": 1.0}, {"learning_rate": 0.0}, {"held_out": -0.1}])
def test_settings_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(SETTINGS, **change)  # type: ignore[arg-type]
