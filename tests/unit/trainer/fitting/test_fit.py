"""Training a head: it learns, it can be interrupted, and the same seed gives the same head."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from trainer.errors import RunMismatch, TrainingDiverged, TrainingSetUnusable
from trainer.features.feature_set import FeatureSet
from trainer.fitting import head as head_module
from trainer.fitting.batches import HeldOut, balanced_weights, split_images
from trainer.fitting.head import build_head, fit_head, project, save_head
from trainer.fitting.optimisation import make_loss
from trainer.fitting.recorded import continue_from
from trainer.fitting.settings import HeadSettings, LossSettings, best_epoch
from trainer.keras_files import load_network
from trainer.labels.space import LabelSpace, unit_rows
from trainer.runs import Run

LABELS, DIMENSION = 4, 6
SETTINGS = HeadSettings(
    hidden=(16,), dimension=DIMENSION, dropout=0.2, epochs=6, batch_size=16, learning_rate=0.02, seed=3
)


OVERFITTING = replace(SETTINGS, hidden=(64,), epochs=20, learning_rate=0.05, patience=2)


@pytest.fixture(scope="module")
def noisy(data: FeatureSet) -> FeatureSet:
    """Half of the labels are chance, which is memorised, so that the held-out loss gets worse."""
    random = np.random.default_rng(4)
    chance = random.integers(LABELS, size=data.labels.shape)
    return replace(data, labels=np.where(random.random(data.labels.shape) < 0.5, chance, data.labels))


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


def interrupted_after(last: int) -> Callable[[int, dict[str, float]], None]:
    def interrupt(epoch: int, figures: dict[str, float]) -> None:
        if epoch == last:
            raise KeyboardInterrupt

    return interrupt


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["a checkpoint every epoch", "one of the best alone"])
def test_an_interrupted_training_gives_an_identical_head(
    tmp_path: Path, noisy: FeatureSet, space: LabelSpace, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """With everything that involves randomness or state: dropout, class weights, and an early end."""
    monkeypatch.setattr(head_module, "_CHECKPOINT_SECONDS", seconds)
    settings = replace(OVERFITTING, class_weights="balanced")
    straight = fit_head(Run(tmp_path / "straight", settings), noisy, space, settings)
    history = Run(tmp_path / "straight", settings).history()
    broken = Run(tmp_path / "broken", settings)
    for stop in (1, best_epoch(history, settings) + 1):
        with pytest.raises(KeyboardInterrupt):
            fit_head(broken, noisy, space, settings, interrupted_after(stop))
    resumed = fit_head(broken, noisy, space, settings)
    assert broken.history() == history
    assert len(history) < settings.epochs
    for mine, theirs in zip(resumed.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_training_that_ended_is_not_gone_on_with(tmp_path: Path, data: FeatureSet, space: LabelSpace) -> None:
    settings = replace(SETTINGS, epochs=2)
    run = Run(tmp_path, settings)
    first = fit_head(run, data, space, settings)
    again = fit_head(run, data, space, settings, interrupted_after(3))
    np.testing.assert_array_equal(again.get_weights()[0], first.get_weights()[0])
    assert len(list(tmp_path.glob("*.weights.h5"))) == 1


@pytest.mark.parametrize("watched", ["held_out_loss", "held_out_hit@1"])
def test_a_training_without_progress_ends_with_the_best_head(
    tmp_path: Path, noisy: FeatureSet, space: LabelSpace, watched: str
) -> None:
    settings = replace(OVERFITTING, watched=watched)
    run = Run(tmp_path, settings)
    head = fit_head(run, noisy, space, settings)
    figures = [entry[watched] for entry in run.history()]
    best = max(figures) if watched == "held_out_hit@1" else min(figures)
    assert len(figures) == 1 + figures.index(best) + settings.patience
    held_out = HeldOut(noisy, split_images(noisy, settings).held_out, space, make_loss(settings.loss, space))
    assert held_out.figures(head)[watched] == pytest.approx(best, rel=1e-5)


def test_no_early_end_without_images_to_watch(tmp_path: Path, data: FeatureSet, space: LabelSpace) -> None:
    settings = replace(SETTINGS, held_out=0.0, patience=2)
    with pytest.raises(TrainingSetUnusable, match="set patience to 0"):
        fit_head(Run(tmp_path, settings), data, space, settings)


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_the_recorded_loss_is_the_mean_over_the_epochs_images(
    tmp_path: Path, data: FeatureSet, space: LabelSpace, class_weights: str
) -> None:
    settings = replace(SETTINGS, epochs=1, dropout=0.0, learning_rate=1e-12, held_out=0.0, class_weights=class_weights)
    plain = replace(data, cache=data.cache[:, :1])
    run = Run(tmp_path, settings)
    head = fit_head(run, plain, space, settings)
    losses = np.asarray(make_loss(settings.loss, space)(data.labels, head(plain.take(np.arange(len(data))))))
    weights = balanced_weights(data.labels) if class_weights == "balanced" else np.ones(len(data))
    assert run.history()[0]["loss"] == pytest.approx(float(np.mean(weights * losses)), rel=1e-4)


@hypothesis_settings(deadline=None)
@given(
    st.lists(
        st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True).map(lambda each: [*each, -1, -1][:3]),
        min_size=1,
        max_size=30,
    )
)
def test_balanced_weights_average_one_and_equalise_classes(labels: list[list[int]]) -> None:
    several = np.array(labels, dtype=np.int64)
    assert balanced_weights(several).mean() == pytest.approx(1, rel=1e-5)
    one = several[:, :1]
    weights = balanced_weights(one)
    shares = [weights[one[:, 0] == label].sum() for label in np.unique(one)]
    np.testing.assert_allclose(shares, len(one) / len(shares), rtol=1e-5)


def test_an_image_of_several_classes_weighs_the_mean_of_theirs() -> None:
    weights = balanced_weights(np.array([[0, -1], [0, -1], [0, 1], [0, -1]]))
    expected = np.array([0.25, 0.25, (0.25 + 1) / 2, 0.25])
    np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-6)


def test_a_head_trained_in_half_precision_is_saved_in_single(
    tmp_path: Path, data: FeatureSet, space: LabelSpace
) -> None:
    settings = replace(SETTINGS, precision="mixed_float16")
    assert build_head(settings, data.dimension).get_layer("hidden_1").compute_dtype == "float16"
    run = Run(tmp_path, settings)
    save_head(fit_head(run, data, space, settings), tmp_path / "head.keras")
    head = load_network(tmp_path / "head.keras")
    assert {layer.compute_dtype for layer in head.layers} == {"float32"}
    assert run.history()[-1]["held_out_hit@1"] > 0.9


def test_a_run_can_continue_from_before_a_divergence(tmp_path: Path, data: FeatureSet, space: LabelSpace) -> None:
    absurd = replace(SETTINGS, learning_rate=1e30)
    with pytest.raises(KeyboardInterrupt):
        fit_head(Run(tmp_path / "good", SETTINGS), data, space, SETTINGS, interrupted_after(2))
    before = Run(tmp_path / "good", SETTINGS).history()
    bad, mended = Run(tmp_path / "bad", absurd), Run(tmp_path / "mended", SETTINGS)
    continue_from(tmp_path / "good", bad, {})
    with pytest.raises(TrainingDiverged) as stopped:
        fit_head(bad, data, space, absurd)
    assert re.fullmatch(
        r"The loss became (nan|inf) in epoch 3, step \d of 9, so training cannot continue\. Lower the learning "
        rf"rate, which is 1e\+30, to 1e\+29, and name another folder for the run\. With --start-from {tmp_path}/bad it "
        r"continues from epoch 2, which is kept\.",
        str(stopped.value),
    )
    continue_from(tmp_path / "bad", mended, {})
    fit_head(mended, data, space, SETTINGS)
    assert mended.history()[:2] == bad.history() == before
    assert len(mended.history()) == SETTINGS.epochs


def test_a_divergence_in_the_first_epoch_names_no_checkpoint(
    tmp_path: Path, data: FeatureSet, space: LabelSpace
) -> None:
    settings = replace(SETTINGS, learning_rate=1e30, batch_size=1000)
    with pytest.raises(TrainingDiverged, match=r"in epoch \d, .*name another folder for the run\.$"):
        fit_head(Run(tmp_path, settings), data, space, settings)


def test_a_run_with_another_head_is_not_continued(tmp_path: Path, data: FeatureSet, space: LabelSpace) -> None:
    settings = replace(SETTINGS, epochs=1)
    with pytest.raises(RunMismatch, match="has no epoch done"):
        continue_from(tmp_path / "one", Run(tmp_path / "one", settings), {})
    fit_head(Run(tmp_path / "one", settings), data, space, settings)
    with pytest.raises(RunMismatch, match="with another hidden or seed"):
        continue_from(tmp_path / "one", Run(tmp_path / "two", replace(settings, hidden=(17,), seed=9)), {})


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


def test_a_folder_with_another_runs_settings_is_refused(tmp_path: Path) -> None:
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
