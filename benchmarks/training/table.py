"""The tables and the JSON: all are made from the same figures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.bar import Bar
from benchmarks.training.results import Measured

__all__ = ["bars_table", "figures_table", "write_json"]


def figures_table(measured: Measured) -> Table:
    """Draws both ways, and the speed of the features."""
    title = (
        f"{measured.images:,} photos of {measured.classes} classes, {measured.backbone}, {measured.epochs} epochs, "
        "one view a photo"
    )
    table = Table("", "", "", title=title, title_justify="left", show_header=False)
    table.columns[2].justify = "right"
    for row in _rows(measured):
        table.add_row(*row)
    return table


def _rows(measured: Measured) -> Iterator[tuple[str, str, str]]:
    yield "the article's way", "one epoch, measured", f"{measured.epoch_s:,.1f} s"
    yield "", f"{measured.epochs} epochs, from that one", f"{measured.article_s:,.0f} s"
    for number, step in enumerate(measured.steps):
        yield "" if number else "this trainer", f"trainer {step.command}", f"{step.seconds:,.1f} s"
    yield "", "all, pictures to bundle", f"{measured.own_s:,.1f} s"
    yield "with cached features", "trainer fit, again", f"{measured.refit_s:,.1f} s"
    rounds = measured.speed.rounds
    yield "features", "bare network, median", f"{median(each.bare for each in rounds):,.2f} images/s"
    yield "", "files to cache, median", f"{median(each.whole for each in rounds):,.2f} images/s"


def bars_table(bars: Sequence[Bar]) -> Table:
    """Draw what is promised and what came of it."""
    table = Table("bar", "figure", "bound", "", title="Bars", title_justify="left")
    for bar in bars:
        table.add_row(*bar.drawn)
    return table


def write_json(file: Path, measured: Measured, bars: Sequence[Bar], run: Mapping[str, object]) -> None:
    """Write what a run measured; `run` says with what settings and on what machine."""
    figures = {
        "run": run,
        "measured": {**asdict(measured), "article_s": measured.article_s, "own_s": measured.own_s},
        "bars": [{**asdict(bar), "verdict": bar.verdict} for bar in bars],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=2) + "\n")
