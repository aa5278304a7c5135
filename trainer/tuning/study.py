"""The trials of a search, kept in a file: what was tried, what came of it, and what was cut off.

Contract: a trial is in the file when it is done, and a trial that its process did not end counts as failed and is
tried again by whoever opens the study next; so a search that was killed goes on with the trials that are done. What is
tried next follows from the seed and from the trials that are done, so a search that was interrupted tries what one that
was not would have tried. One process searches in a folder at a time (a lock that dies with it).
"""

from __future__ import annotations

import fcntl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import FixedTrial, FrozenTrial, Trial, TrialState

from trainer.errors import RunInUse
from trainer.fitting.settings import HeadSettings
from trainer.tuning.space import Choice, SearchSpace

__all__ = ["Trials", "Tried", "opened"]

_DONE = (TrialState.COMPLETE, TrialState.PRUNED)
_DEFAULTS, _LOSS = "defaults", "held_out_loss"
_UNPRUNED = 5  # trials that nothing is compared with


@dataclass(frozen=True)
class Tried:
    """A trial that ran to its end. ``hit``: held-out hit@1; ``loss``: what decides between equal hits, less is better.

    ``defaults``: it is what ``fit`` does without options.
    """

    number: int
    hit: float
    loss: float
    choice: Choice
    defaults: bool


class Trials:
    """The study of a folder. ``base``: what is not searched over."""

    def __init__(self, folder: Path, space: SearchSpace, base: HeadSettings) -> None:
        """Opens or begins it, and puts up what was cut off to be tried again; hold the folder's lock (``opened``)."""
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
            # What was drawn for it is drawn again: the seed follows from how many are done. In this order: being killed
            # between the two tries it twice, not never.
            if given := cut_off.system_attrs.get("fixed_params"):
                self._study.enqueue_trial(given, user_attrs=cut_off.user_attrs)
            self._study.tell(cut_off.number, state=TrialState.FAIL)

    @property
    def done(self) -> int:
        """How many trials came to their end, or were given up as they did worse than others."""
        return len(self._study.get_trials(deepcopy=False, states=_DONE))

    def ask(self) -> tuple[Trial, Choice]:
        """The next trial."""
        self._study.sampler = optuna.samplers.TPESampler(seed=self._base.seed * 100_003 + self.done)
        trial = self._study.ask()
        return trial, self._space.choose(trial, self._base)

    def tell(self, trial: Trial, hit: float, loss: float) -> None:
        """A trial ran to its end."""
        trial.set_user_attr(_LOSS, loss)
        self._study.tell(trial, hit)

    def give_up(self, trial: Trial) -> None:
        """A trial did worse than others, or could not go on."""
        self._study.tell(trial, state=TrialState.PRUNED)

    def ranked(self) -> list[Tried]:
        """Those that ran to their end, the best first; of equals the earliest."""
        complete = self._study.get_trials(states=(TrialState.COMPLETE,))
        return sorted(map(self._tried, complete), key=lambda each: (-each.hit, each.loss, each.number))

    def importances(self) -> dict[str, float]:
        """How much of the differences in hit@1 each parameter explains, the most first; empty where nothing differs."""
        values = {trial.value for trial in self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}
        if len(values) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a choice few trials made is judged by few
            return optuna.importance.get_param_importances(self._study)

    def _tried(self, trial: FrozenTrial) -> Tried:
        choice = self._space.choose(FixedTrial(trial.params), self._base)
        defaults = trial.user_attrs.get(_DEFAULTS, False)
        return Tried(trial.number, float(trial.values[0]), trial.user_attrs[_LOSS], choice, defaults)


@contextmanager
def opened(folder: Path, space: SearchSpace, base: HeadSettings) -> Iterator[Trials]:
    """The trials of a folder, for this process alone.

    Raises:
        RunInUse: another process searches in it.
    """
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunInUse(
                f"Another process searches in {folder}. Wait for it to end, or name another folder: --run"
            ) from error
        yield Trials(folder, space, base)
