"""The progress bar."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text
from typing_extensions import override


def progress_bar(console: Console, *, of_bytes: bool = False, disable: bool = False) -> Progress:
    """Return a bar that vanishes at the end. It is disabled without a terminal: it would only fill a log."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *((DownloadColumn(), TransferSpeedColumn()) if of_bytes else (MofNCompleteColumn(), _Rate())),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=disable or not console.is_terminal,
    )


class _Rate(ProgressColumn):
    """Items per second."""

    @override
    def render(self, task: Task) -> Text:
        """Render the rate over the last seconds."""
        return Text(f"{task.speed:.0f}/s" if task.speed else "")
