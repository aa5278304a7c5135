"""A run is a folder: its settings, its figures, and its checkpoints.

Contract: `settings.json` is written once, before anything else, and a run with other settings is refused; so they made
everything in the folder, and an interrupted run continues instead of starting again. `metrics.jsonl` has one line per
epoch. Every file appears complete: written under a temporary name, then renamed.

Checkpoints: one file of weights and optimiser for one of the last epochs, and one for the best. A checkpoint is the
commit point of its epoch and those before it, whose figures are recorded first. An interrupted training continues from
the newest.

Stages: a recipe is made in stages, each of which is skipped when its product exists. A product appears complete, last,
when its stage is done. So an interrupted recipe continues with the stage that was interrupted, and this stage from its
own cache or checkpoint.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.console import Console

from serving.durable_files import replacing, write_file
from trainer.errors import NotWritten, RunMismatch

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_SETTINGS, _METRICS = "settings.json", "metrics.jsonl"


class Run:
    """The folder of one run."""

    def __init__(self, folder: Path, settings: DataclassInstance) -> None:
        """Open the folder, and create it for a new run.

        Raises:
            RunMismatch: it holds a run with other settings; the message names them.
        """
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / _SETTINGS
        mine = json.loads(json.dumps(asdict(settings)))
        if not path.exists():
            write_json(path, mine)
            return
        theirs = read_settings(folder)
        changed = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
        if changed:
            described = ", ".join(f"{name} was {theirs.get(name)!r}, is {mine.get(name)!r}" for name in changed)
            raise RunMismatch(
                f"{folder} holds a run with other settings ({described}). Name another folder, or delete that one."
            )

    def record(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Write an epoch's figures, dropping what an interrupted run wrote of this epoch or later ones."""
        kept = [line for line in self.history() if line["epoch"] < epoch]
        self.keep([*kept, {"epoch": epoch, **figures}])

    def keep(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Replace the recorded figures with those of every epoch in `history`."""
        write_file(self.folder / _METRICS, "".join(json.dumps(line) + "\n" for line in history).encode())

    def history(self) -> list[dict[str, Any]]:
        """Return the figures of every epoch recorded, oldest first."""
        return read_history(self.folder)


def read_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of the run in a folder, as they were written.

    Raises:
        RunMismatch: the folder holds no run.
    """
    try:
        return dict(json.loads((folder / _SETTINGS).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RunMismatch(f"{folder} holds no run that can be read ({error}). Name the folder of one.") from error


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return the figures of every epoch that the run in a folder recorded, oldest first."""
    path = folder / _METRICS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_json(path: Path, value: object) -> None:
    """Write a JSON file atomically: to a temporary name, then renamed."""
    write_file(path, f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode())


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write a file of lines atomically; without lines, write none.

    Raises:
        NotWritten: the disk is full or refuses.
    """
    try:
        if lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, "".join(f"{line}\n" for line in lines).encode())
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise NotWritten(f"{path} cannot be written ({error.strerror}). Make room, or name another folder.") from error


def write_checkpoint(head: Any, folder: Path, epoch: int, keep: Collection[int]) -> None:
    """Write an epoch's checkpoint, then remove all others but those to keep.

    Raises:
        NotWritten: the disk is full or refuses; the checkpoint before it is kept.
    """
    try:
        with replacing(_path(folder, epoch)) as written:
            head.save_weights(written)
    except OSError as error:
        raise NotWritten(
            f"The checkpoint of epoch {epoch} cannot be written into {folder} ({error}). Make room: the same command "
            "continues from the epoch before."
        ) from error
    for old in _checkpoints(folder):
        if old not in {epoch, *keep}:
            _path(folder, old).unlink()


def newest_epoch(folder: Path) -> int:
    """Return the last epoch that has a checkpoint, or 0."""
    return max(_checkpoints(folder), default=0)


def restore_checkpoint(head: Any, folder: Path, epoch: int) -> None:
    """Load the weights and optimiser of an epoch."""
    head.load_weights(_path(folder, epoch))


def copy_checkpoints(source: Path, target: Path) -> None:
    """Copy another run's checkpoints into a folder, the newest last, since a training continues from the newest."""
    for epoch in sorted(_checkpoints(source)):
        with replacing(_path(target, epoch)) as written:
            shutil.copyfile(_path(source, epoch), written)


def _path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:04d}.weights.h5"


def _checkpoints(folder: Path) -> list[int]:
    return [int(path.name.split("-")[1].split(".")[0]) for path in folder.glob("epoch-*.weights.h5")]


@dataclass(frozen=True)
class Stage:
    """A stage: its name, its product, and how to make it."""

    name: str
    product: Path
    make: Callable[[], None]


def run_stages(stages: Sequence[Stage], console: Console) -> None:
    """Run the stages in order, skipping those whose product exists.

    Raises:
        FileNotFoundError: a stage did not make its product.
    """
    for number, stage in enumerate(stages, start=1):
        title = f"[bold]{number}/{len(stages)} {stage.name}[/bold]"
        if stage.product.exists():
            console.print(f"{title}: {stage.product} exists")
            continue
        console.print(f"{title} → {stage.product}")
        began = monotonic()
        stage.make()
        if not stage.product.exists():
            raise FileNotFoundError(f"the stage {stage.name!r} ended without making {stage.product}")
        console.print(f"{title}: done in {_duration(monotonic() - began)}")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
