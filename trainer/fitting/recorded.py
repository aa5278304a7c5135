"""A fit whose folder says everything about it.

Beside what `fit_head` keeps there: ``run.json``, ``tensorboard/``, ``curves.png``, ``confusion.png`` where images are
held out, and last ``head.keras``, which appears whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from serving.durable_files import replacing, sha256
from trainer.errors import RunMismatch, TrainingPackageMissing
from trainer.features.computing import FeatureSet
from trainer.fitting.batches import split_images
from trainer.fitting.checkpoints import copy_checkpoints, newest_epoch
from trainer.fitting.devices import training_devices
from trainer.fitting.early_stopping import best_epoch
from trainer.fitting.events import Events
from trainer.fitting.head import fit_head, save_head
from trainer.fitting.held_out import HeldOut
from trainer.fitting.losses import make_loss
from trainer.fitting.provenance import Inputs, Provenance, check_inputs
from trainer.fitting.settings import HeadSettings
from trainer.labels.space import LabelSpace
from trainer.runs import Run, read_history, read_settings

__all__ = ["Fitted", "check_packages", "fit_recorded", "go_on_from", "inputs_of"]

_SAME = ("hidden", "dimension", "activation", "precision", "held_out", "seed")


def check_packages() -> None:
    """Before the training, not after.

    Raises:
        TrainingPackageMissing: what draws or writes a run's figures is not installed.
    """
    missing = [name for name in ("matplotlib", "tensorboard") if find_spec(name) is None]
    if missing:
        raise TrainingPackageMissing(
            f"A run's figures need {' and '.join(missing)}, not installed here. Install: pip install 'semsearch[train]'"
        )


def inputs_of(files: Mapping[str, Path | None], options: Mapping[str, int]) -> Inputs:
    """What tells whether a training set is the same: the digests of the files that there are, and the options."""
    return {name: sha256(path) for name, path in files.items() if path is not None} | dict(options)


def go_on_from(other: Path, run: Run, inputs: Inputs) -> None:
    """Let a new run begin where another one stands, with other steps; a run that has begun stays as it is.

    Raises:
        RunMismatch: there is no checkpoint, or the other's head, images held out or inputs are not the same.
    """
    if newest_epoch(run.folder):
        return
    theirs, mine = read_settings(other), read_settings(run.folder)
    epoch = newest_epoch(other)
    if not epoch:
        raise RunMismatch(f"The run in {other} has no epoch done to go on from. Leave --start-from out.")
    different = [name for name in _SAME if theirs.get(name) != mine[name]]
    if different:
        raise RunMismatch(
            f"The run in {other} cannot be gone on from with another {' or '.join(different)}. Give the same, or leave "
            "--start-from out."
        )
    check_inputs(other, inputs)
    run.keep(read_history(other)[:epoch])
    copy_checkpoints(other, run.folder)


@dataclass(frozen=True)
class Fitted:
    """The head's file, how many epochs were trained, and which one's head it is."""

    head: Path
    epochs: int
    kept: int


def fit_recorded(
    run: Run,
    data: FeatureSet,
    space: LabelSpace,
    settings: HeadSettings,
    inputs: Inputs,
    titles: Sequence[str],
    on_epoch: Callable[[int, dict[str, float]], None],
) -> Fitted:
    """Train a head as `fit_head` does, and record it.

    ``inputs``: what the training set was made from, see `trainer.fitting.provenance`. ``titles``: what the classes are
    called in pictures.

    Raises:
        RunMismatch: the run in the folder was made from something else.
        TrainerError: as `fit_head` does.
    """
    from trainer.fitting.pictures import draw_confusion, draw_curves

    provenance = Provenance(run.folder, inputs, training_devices(settings.devices))
    with Events(run.folder / "tensorboard", run.history()[: newest_epoch(run.folder)]) as events:

        def record(epoch: int, figures: dict[str, float]) -> None:
            events.add(epoch, figures)
            provenance.write()
            on_epoch(epoch, figures)

        head = fit_head(run, data, space, settings, record)
    draw_curves(run.history(), settings, run.folder / "curves.png")
    held_out = HeldOut(data, split_images(data, settings).held_out, space, make_loss(settings.loss, space))
    if len(held_out.labels):
        draw_confusion(held_out.labels, held_out.nearest(head), titles, run.folder / "confusion.png")
    path = run.folder / "head.keras"
    with replacing(path) as written:
        save_head(head, written)
    provenance.write()
    return Fitted(path, len(run.history()), best_epoch(run.history(), settings))
