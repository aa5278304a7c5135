"""Try settings of a head in turn, each on the same features.

Contract: trials are compared by hit@1 on the validation images, which no head was trained on; ties are decided by the
softmax loss over label vectors, since the trials minimise different losses. The best figure is biased, as it chose the
settings: measure an exported model on other images.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from optuna.trial import Trial

from trainer.errors import NotWritten, TrainerError, TrainingSetUnusable
from trainer.features.feature_set import FeatureSet
from trainer.fitting.batches import HeldOut
from trainer.fitting.head import fit_head
from trainer.fitting.optimisation import make_loss
from trainer.fitting.settings import HeadSettings, LossSettings
from trainer.labels.class_words import ClassWords
from trainer.labels.space import Vocabulary, label_space_of
from trainer.runs import Run
from trainer.tuning.study import Choice, FinishedTrial, SearchSpace, Trials, open_trials


@dataclass(frozen=True)
class TuningSettings:
    """The inputs of a search; written into the run's folder, which then refuses a search with other inputs.

    `base`: the settings that are not searched over. `foreign_words`: see `label_space_of`. `made_of`: the digests of
    the feature set and of the words.
    """

    space: SearchSpace
    base: HeadSettings
    foreign_words: int
    made_of: tuple[str, ...]


@dataclass(frozen=True)
class Material:
    """The training data of heads: features, and the names of their classes."""

    data: FeatureSet
    classes: Sequence[ClassWords]
    vocabulary: Vocabulary

    def __post_init__(self) -> None:
        if not len(self.held_out):
            raise TrainingSetUnusable(
                "The feature set has no images for validation, so settings cannot be compared. Compute it with some: "
                "python -m trainer features … --validation-share 0.1"
            )

    @property
    def held_out(self) -> NDArray[np.int64]:
        """The images for validation."""
        return np.flatnonzero([] if self.data.validation is None else self.data.validation)


def search(
    folder: Path,
    material: Material,
    settings: TuningSettings,
    count: int,
    on_epoch: Callable[[int, int, float], None] = lambda done, epoch, hit: None,
) -> tuple[list[FinishedTrial], Mapping[str, float]]:
    """Try settings until `count` trials are done, counting those of earlier calls.

    The first trial is of the defaults. `on_epoch` gets the number of trials done, and the running trial's epochs done
    and hit@1. Returns the completed trials, the best first, and the importance of each parameter.

    Raises:
        RunMismatch: the folder holds a search with other inputs.
        RunInUse: another process is searching in it.
        TrainingSetUnusable: no trial was completed.
    """
    Run(folder, settings)
    with open_trials(folder, settings.space, settings.base) as trials:
        while (done := trials.done) < count:
            trial, choice = trials.ask()
            _run_trial(
                trials,
                trial,
                choice,
                folder / "trial",
                material,
                settings.foreign_words,
                _with_trials_done(on_epoch, done),
            )
        ranked = trials.ranked()
        if not ranked:
            raise TrainingSetUnusable(
                f"No trial of {folder} was completed, so there is nothing to choose from. Ask for more: --trials"
            )
        return ranked, trials.importances()


def _with_trials_done(on_epoch: Callable[[int, int, float], None], done: int) -> Callable[[int, float], None]:
    return lambda epoch, hit: on_epoch(done, epoch, hit)


def _run_trial(
    trials: Trials,
    trial: Trial,
    choice: Choice,
    scratch: Path,
    material: Material,
    foreign_words: int,
    on_epoch: Callable[[int, float], None],
) -> None:
    data, seed = material.data, choice.settings.seed
    space = label_space_of(material.classes, material.vocabulary, choice.nearest_kinds, foreign_words, seed)

    def watch(epoch: int, figures: Mapping[str, float]) -> None:
        hit = figures["held_out_hit@1"]
        trial.report(hit, epoch)
        on_epoch(epoch, hit)
        if trial.should_prune():
            raise _Pruned

    keras.backend.clear_session()
    shutil.rmtree(scratch, ignore_errors=True)  # left by an interrupted trial
    try:
        head = fit_head(Run(scratch, choice.settings), data, space, choice.settings, watch)
    except NotWritten:
        raise
    except (_Pruned, TrainerError):  # or its loss diverged: the settings are unsuitable
        trials.give_up(trial)
    else:
        # One loss for all trials: their own losses cannot be compared.
        judged = HeldOut(data, material.held_out, space, make_loss(LossSettings("softmax"), space)).figures(head)
        trials.record(trial, judged["held_out_hit@1"], judged["held_out_loss"])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Pruned(Exception):
    """A trial does worse than others did at the same epoch."""
