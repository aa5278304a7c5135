"""Progress bars with the time that is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

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

__all__ = ["download_bar", "epoch_note", "progress_bar"]


@contextmanager
def progress_bar(console: Console) -> Iterator[Progress]:
    """A bar: description, share, count, time spent, time left. Lines printed meanwhile go above it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=10),  # a line of 80 characters has room for the note then
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
    """A bar of a file that is fetched: name, share, bytes, speed, time left."""
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
    """What a bar tells of an epoch: how the images held out do, or the loss where there are none."""
    if "held_out_loss" not in figures:
        return f"loss {figures['loss']:.3f}"
    return f"held out: loss {figures['held_out_loss']:.3f}, hit@1 {figures['held_out_hit@1']:.3f}"
