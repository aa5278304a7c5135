"""The tables and the JSON, which show the same figures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.bar import Bar
from benchmarks.training.results import Measured


def figures_table(measured: Measured) -> Table:
    """Return the table of both ways and of the speed of features."""
    title = (
        f"{measured.images:,} photos of {measured.classes} classes, {measured.backbone}, {measured.epochs} epochs, "
        "one view per photo"
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
    """Return the table of the performance targets and their figures."""
    table = Table("bar", "figure", "bound", "", title="Bars", title_justify="left")
    for bar in bars:
        table.add_row(*bar.cells)
    return table


def write_json(file: Path, measured: Measured, bars: Sequence[Bar], run: Mapping[str, object]) -> None:
    """Write the figures of a run; `run` describes its settings and machine."""
    figures = {
        "run": run,
        "measured": {**asdict(measured), "article_s": measured.article_s, "own_s": measured.own_s},
        "bars": [{**asdict(bar), "verdict": bar.verdict} for bar in bars],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=2) + "\n")
