"""Run a fit and record everything about it in its folder.

In addition to the files of `fit_head`: `run.json`, `tensorboard/`, `curves.png`, `confusion.png` if images are held
out, and last `head.keras`, which appears complete.

`run.json` records what the run was made from and with. `inputs` are the SHA-256 of the files and the options that make
the training set; a run with other inputs is refused. `starts` has an entry for each time that the run was started or
continued: command, time, versions, commit, device, and for how long it trained until its last epoch. `tensorboard/` has
each recorded epoch once (`tensorboard --logdir RUN`).
"""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

import tensorflow as tf

from serving.durable_files import replacing, sha256
from trainer.errors import RunMismatch, TrainingPackageMissing
from trainer.features.feature_set import FeatureSet
from trainer.fitting.batches import HeldOut, split_images
from trainer.fitting.head import fit_head, save_head
from trainer.fitting.optimisation import make_loss, training_devices
from trainer.fitting.settings import HeadSettings, best_epoch
from trainer.labels.space import LabelSpace
from trainer.runs import Run, copy_checkpoints, newest_epoch, read_history, read_settings, write_json

_SAME = ("hidden", "dimension", "activation", "precision", "held_out", "seed")
Inputs = Mapping[str, str | int]
_PACKAGES = ("keras", "tensorflow", "numpy", "semsearch")


def check_packages() -> None:
    """Check, before training, that the packages that draw and write a run's figures are installed.

    Raises:
        TrainingPackageMissing: one of them is not installed.
    """
    missing = [name for name in ("matplotlib", "tensorboard") if find_spec(name) is None]
    if missing:
        raise TrainingPackageMissing(
            f"A run's figures need {' and '.join(missing)}, not installed here. Install: pip install 'semsearch[train]'"
        )


def inputs_of(files: Mapping[str, Path | None], options: Mapping[str, int]) -> Inputs:
    """Return the identity of a training set: the digests of the files that exist, and the options."""
    return {name: sha256(path) for name, path in files.items() if path is not None} | dict(options)


def continue_from(other: Path, run: Run, inputs: Inputs) -> None:
    """Start a new run from another one's newest checkpoint, with other steps; a run that has begun is not changed.

    Raises:
        RunMismatch: there is no checkpoint, or the other run's head, held-out images or inputs differ.
    """
    if newest_epoch(run.folder):
        return
    theirs, mine = read_settings(other), read_settings(run.folder)
    epoch = newest_epoch(other)
    if not epoch:
        raise RunMismatch(f"The run in {other} has no epoch done to continue from. Leave --start-from out.")
    different = [name for name in _SAME if theirs.get(name) != mine[name]]
    if different:
        raise RunMismatch(
            f"The run in {other} cannot be continued with another {' or '.join(different)}. Give the same, or leave "
            "--start-from out."
        )
    check_inputs(other, inputs)
    run.keep(read_history(other)[:epoch])
    copy_checkpoints(other, run.folder)


@dataclass(frozen=True)
class Fitted:
    """The head's file, the number of epochs trained, and the epoch whose head it is."""

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

    `inputs`: what the training set was made from, as `run.json` keeps it. `titles`: what the classes are
    called in pictures.

    Raises:
        RunMismatch: the run in the folder was made from something else.
        TrainerError: as `fit_head` does.
    """
    from trainer.plots import draw_confusion, draw_curves

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


class Events:
    """The event file of a run; a context manager."""

    def __init__(self, folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
        """Write the epochs done, `history`, again."""
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = tf.summary.create_file_writer(str(folder))
        for entry in history:
            self.add(entry["epoch"], {name: value for name, value in entry.items() if name != "epoch"})

    def add(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Write the figures of an epoch; they are visible when this returns."""
        with self._writer.as_default(step=epoch):
            for name, value in figures.items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()


class Provenance:
    """The record of a run in progress."""

    def __init__(self, folder: Path, inputs: Inputs, device: Sequence[str]) -> None:
        """Begin an entry.

        Raises:
            RunMismatch: the folder holds a run that was made from something else; the message says what.
        """
        check_inputs(folder, inputs)
        self._path = folder / "run.json"
        earlier = _read(folder).get("starts", [])
        self._entry: dict[str, Any] = {
            "command": shlex.join(["python", "-m", "trainer", *sys.argv[1:]]),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
            "git": _commit(),
            "device": list(device),
        }
        self._record = {"inputs": dict(inputs), "starts": [*earlier, self._entry]}
        self._began = monotonic()
        self.write()

    def write(self) -> None:
        """Write the time taken so far."""
        self._entry["seconds"] = round(monotonic() - self._began, 3)
        write_json(self._path, self._record)


def check_inputs(folder: Path, inputs: Inputs) -> None:
    """Check that a run's folder was made from the same inputs; a folder without inputs passes.

    Raises:
        RunMismatch: the run in the folder was made from something else.
    """
    theirs = _read(folder).get("inputs", inputs)
    changed = sorted(name for name in {*inputs, *theirs} if inputs.get(name) != theirs.get(name))
    if changed:
        raise RunMismatch(
            f"The run in {folder} was made from other inputs ({', '.join(changed)} changed). Name another folder, or "
            "delete that one."
        )


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _version(package: str) -> str | None:
    for name in (package, f"{package}-cpu"):  # TensorFlow's name where it is built for CPUs only
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _commit() -> dict[str, Any] | None:
    """Return the commit of this code and whether it was changed since; None outside a repository of its own."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        return {"commit": _git("rev-parse", "HEAD").strip(), "dirty": bool(_git("status", "--porcelain", "."))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
