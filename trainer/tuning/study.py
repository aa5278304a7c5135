"""A search's space of settings, and its trials, kept in a file.

Contract: a choice follows from its parameters alone (`SearchSpace.choose` of a FixedTrial gives it again), and the
defaults of `fit` lie within the bounds.

A trial is recorded in the file when it is done. A trial whose process died counts as failed and is repeated when the
study is opened next; so a killed search continues after the completed trials. The next choice follows from the seed and
the completed trials, so an interrupted search tries the same choices as an uninterrupted one. One process searches in a
folder at a time (a lock that dies with it).
"""

from __future__ import annotations

import fcntl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

import optuna
from optuna.trial import BaseTrial, FixedTrial, FrozenTrial, Trial, TrialState

from trainer.errors import RunInUse
from trainer.fitting.settings import HeadSettings, LossKind, LossSettings

_KINDS = 2  # in a label's vector, as `fit` has it
_DONE = (TrialState.COMPLETE, TrialState.PRUNED)
_DEFAULTS, _LOSS = "defaults", "held_out_loss"
_UNPRUNED = 5  # trials before pruning starts


@dataclass(frozen=True)
class Choice:
    """Settings of a head, and the number of kinds in a label's vector."""

    settings: HeadSettings
    nearest_kinds: int


@dataclass(frozen=True)
class SearchSpace:
    """Bounds, least and most; rates, scales and weights are drawn evenly in their logarithm.

    `widths`: of a hidden layer. `most_hidden`: how many of them. `most_kinds`: how many kinds the classes have,
    so that a data set without kinds has none to choose from.
    """

    most_kinds: int = 0
    learning_rate: tuple[float, float] = (1e-4, 1e-2)
    weight_decay: tuple[float, float] = (1e-6, 1e-1)
    widths: tuple[int, ...] = (256, 512, 1024, 2048)
    most_hidden: int = 2
    dropout: tuple[float, float] = (0.0, 0.6)
    losses: tuple[LossKind, ...] = get_args(LossKind)
    margin: tuple[float, float] = (0.02, 0.5)
    scale: tuple[float, float] = (5.0, 60.0)
    loss_weight: tuple[float, float] = (0.1, 10.0)

    def defaults(self) -> dict[str, float | str]:
        """Return the parameters of `fit`'s defaults."""
        head, loss = HeadSettings(), LossSettings("joint")
        kinds = {"nearest_kinds": min(_KINDS, self.most_kinds)} if self.most_kinds else {}
        return {
            "learning_rate": head.learning_rate,
            "weight_decay": head.weight_decay,
            "hidden_layers": len(head.hidden),
            "loss": loss.kind,
            "scale": loss.scale,
            "concept_weight": loss.concept_weight,
            "cosine_weight": loss.cosine_weight,
            **kinds,
        }

    def choose(self, trial: BaseTrial, base: HeadSettings) -> Choice:
        """Return a trial's choice; all other settings are as in `base`."""
        widths = tuple(
            int(trial.suggest_categorical(f"width_{number}", self.widths))
            for number in range(1, trial.suggest_int("hidden_layers", 0, self.most_hidden) + 1)
        )
        settings = replace(
            base,
            hidden=widths,
            dropout=trial.suggest_float("dropout", *self.dropout) if widths else 0.0,
            loss=self._loss(trial),
            learning_rate=trial.suggest_float("learning_rate", *self.learning_rate, log=True),
            weight_decay=trial.suggest_float("weight_decay", *self.weight_decay, log=True),
        )
        return Choice(settings, trial.suggest_int("nearest_kinds", 0, self.most_kinds) if self.most_kinds else 0)

    def _loss(self, trial: BaseTrial) -> LossSettings:
        loss = LossSettings(cast(LossKind, trial.suggest_categorical("loss", self.losses)))
        if loss.kind == "hinge-rank":
            return replace(loss, margin=trial.suggest_float("margin", *self.margin, log=True))
        if loss.kind in ("softmax", "joint"):
            loss = replace(loss, scale=trial.suggest_float("scale", *self.scale, log=True))
        if loss.kind == "joint":
            concept = trial.suggest_float("concept_weight", *self.loss_weight, log=True)
            cosine = trial.suggest_float("cosine_weight", *self.loss_weight, log=True)
            loss = replace(loss, concept_weight=concept, cosine_weight=cosine)
        return loss


@dataclass(frozen=True)
class FinishedTrial:
    """A completed trial. `hit`: held-out hit@1; `loss`: decides between equal hits, less is better.

    `defaults`: whether its settings are `fit`'s defaults.
    """

    number: int
    hit: float
    loss: float
    choice: Choice
    defaults: bool


class Trials:
    """The study of a folder. `base`: the settings that are not searched over."""

    def __init__(self, folder: Path, space: SearchSpace, base: HeadSettings) -> None:
        """Open or create it, and queue interrupted trials again; the caller holds the lock (`open_trials`)."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._base = space, base
        self._study = optuna.create_study(
            study_name="tune",
            storage=f"sqlite:///{(folder / 'study.db').absolute()}",
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED, n_warmup_steps=base.epochs // 4),
        )
        if not self._study.trials:
            self._study.enqueue_trial(space.defaults(), user_attrs={_DEFAULTS: True})
        for cut_off in self._study.get_trials(states=(TrialState.RUNNING,)):
            # The same parameters are drawn again, since the seed follows from the number of trials done. The order
            # matters: a kill between the two repeats the trial and does not lose it.
            if given := cut_off.system_attrs.get("fixed_params"):
                self._study.enqueue_trial(given, user_attrs=cut_off.user_attrs)
            self._study.tell(cut_off.number, state=TrialState.FAIL)

    @property
    def done(self) -> int:
        """The number of trials that were completed or given up."""
        return len(self._study.get_trials(deepcopy=False, states=_DONE))

    def ask(self) -> tuple[Trial, Choice]:
        """Return the next trial."""
        self._study.sampler = optuna.samplers.TPESampler(seed=self._base.seed * 100_003 + self.done)
        trial = self._study.ask()
        return trial, self._space.choose(trial, self._base)

    def record(self, trial: Trial, hit: float, loss: float) -> None:
        """Record a completed trial."""
        trial.set_user_attr(_LOSS, loss)
        self._study.tell(trial, hit)

    def give_up(self, trial: Trial) -> None:
        """Record that a trial did worse than others, or could not continue."""
        self._study.tell(trial, state=TrialState.PRUNED)

    def ranked(self) -> list[FinishedTrial]:
        """Return the completed trials, the best first; of equals the earliest."""
        complete = self._study.get_trials(states=(TrialState.COMPLETE,))
        return sorted(map(self._tried, complete), key=lambda each: (-each.hit, each.loss, each.number))

    def importances(self) -> dict[str, float]:
        """Return how much of the differences in hit@1 each parameter explains, most first; empty if nothing differs."""
        values = {trial.value for trial in self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}
        if len(values) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a choice that few trials made is judged by few
            return optuna.importance.get_param_importances(self._study)

    def _tried(self, trial: FrozenTrial) -> FinishedTrial:
        choice = self._space.choose(FixedTrial(trial.params), self._base)
        defaults = trial.user_attrs.get(_DEFAULTS, False)
        return FinishedTrial(trial.number, float(trial.values[0]), trial.user_attrs[_LOSS], choice, defaults)


@contextmanager
def open_trials(folder: Path, space: SearchSpace, base: HeadSettings) -> Iterator[Trials]:
    """Open the trials of a folder, for this process alone.

    Raises:
        RunInUse: another process is searching in it.
    """
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunInUse(
                f"Another process is searching in {folder}. Wait for it to end, or name another folder: --run"
            ) from error
        yield Trials(folder, space, base)
