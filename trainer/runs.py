"""A run is a folder: its settings, its figures and where it stopped.

Contract: ``settings.json`` is written once, before anything else, and a folder is refused to a run with other
settings; so what lies in it was made by them, and an interrupted run goes on instead of starting again.
``metrics.jsonl`` has a line for each epoch. Every file appears whole: written to a temporary name, then renamed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.durable_files import write_file
from trainer.errors import NotWritten, RunMismatch

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Run", "read_history", "read_settings", "write_json", "write_lines"]

_SETTINGS, _METRICS = "settings.json", "metrics.jsonl"


class Run:
    """The folder of one run."""

    def __init__(self, folder: Path, settings: DataclassInstance) -> None:
        """Opens the folder, creating it for a new run.

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
        """Write the figures of every epoch, in place of those that are there."""
        write_file(self.folder / _METRICS, "".join(json.dumps(line) + "\n" for line in history).encode())

    def history(self) -> list[dict[str, Any]]:
        """The figures of every epoch recorded, oldest first."""
        return read_history(self.folder)


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of the run in a folder, as they were written.

    Raises:
        RunMismatch: there is no run in it.
    """
    try:
        return dict(json.loads((folder / _SETTINGS).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RunMismatch(f"{folder} holds no run that can be read ({error}). Name the folder of one.") from error


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The figures of every epoch that the run in a folder recorded, oldest first."""
    path = folder / _METRICS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_json(path: Path, value: object) -> None:
    """Write a JSON file whole: to a temporary name, then renamed."""
    write_file(path, f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode())


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write a file of lines whole; no lines, no file.

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
