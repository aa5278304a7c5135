"""Console output that commands share: progress bars, errors as one sentence, the list of images left out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from model.errors import ModelError
from model.networks.loading_tensorflow import load_tensorflow
from trainer.errors import TrainerError
from trainer.runs import write_lines

P = ParamSpec("P")
_out = Console()


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command: print a known error as one sentence and exit with status 1."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (TrainerError, ModelError, FileExistsError) as error:
            print(f"trainer: {error}", file=sys.stderr)  # noqa: T201
            raise typer.Exit(1) from error

    return guarded


def with_tensorflow(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command: load TensorFlow before its own imports do."""

    @wraps(command)
    def prepared(*args: P.args, **kwargs: P.kwargs) -> None:
        load_tensorflow()
        command(*args, **kwargs)

    return prepared


@contextmanager
def progress_bar(console: Console) -> Iterator[Progress]:
    """Show a bar: description, share, count, time spent, time left. Printed lines appear above it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=10),  # leaves room for the note in a line of 80 characters
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield progress


@contextmanager
def download_bar(console: Console) -> Iterator[Progress]:
    """Show a bar for a file that is fetched: name, share, bytes, speed, time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console) as progress:
        yield progress


def epoch_note(figures: Mapping[str, float]) -> str:
    """Return the note on an epoch: the held-out figures, or the loss if no images are held out."""
    if "held_out_loss" not in figures:
        return f"loss {figures['loss']:.3f}"
    return f"held out: loss {figures['held_out_loss']:.3f}, hit@1 {figures['held_out_hit@1']:.3f}"


def print_left_out(images: Sequence[str], file: Path | None = None) -> None:
    """Print how many images were left out and name the first; write all to the file, or remove an earlier run's file.

    `images`: each is a key, a tab, and the reason.

    Raises:
        NotWritten: the disk is full or refuses.
    """
    if file is not None:
        write_lines(file, images)
    if images:
        for each in images[:3]:
            key, _, why = each.partition("\t")
            _out.print(f"left out: {key} ({why})", markup=False)
        _out.print(f"{len(images):,} images were left out{f', see {file}' if file else ''}", markup=False)
