"""What captioned pictures told of bundles, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

from rich.console import Console
from rich.table import Column, Table

from trainer.data_sets.captions import some_of
from trainer.evaluation.caption_comparison import CaptionReport
from trainer.evaluation.captions import RECALLS, TAGS, WORD_SHOWN_BY, WordFigures
from trainer.measures.figures import Figure

__all__ = ["as_json", "print_captions"]

_SHOWN = 8
_WHOLE = frozenset({"words", "caption_to_image_median_rank", "image_to_caption_median_rank"})


def _figures() -> Iterator[Figure]:
    for direction, title in (("caption_to_image", "Caption → image"), ("image_to_caption", "Image → caption")):
        yield from (Figure(f"{direction}_recall@{k}", f"R@{k}", title) for k in RECALLS)
        yield Figure(f"{direction}_median_rank", "median rank", title)
    table = f"Words of the captions → image, right for {WORD_SHOWN_BY} images or more"
    yield Figure("words", "words asked for", table)
    yield Figure("word_precision@10", "precision@10", table)
    yield Figure("word_map", "mean average precision", table)
    yield from (Figure(f"tagged@{k}", f"first {k}", "Right word among the first tags") for k in TAGS)


FIGURES = tuple(_figures())


def print_captions(console: Console, report: CaptionReport) -> None:
    """Prints the figures side by side, what they were measured on, and which words do best and worst."""
    for line in _notes(report):
        console.print(line, markup=False)
    for title, figures in groupby(FIGURES, key=lambda figure: figure.table):
        table = Table(Column("", overflow="fold"), title=title, title_justify="left")
        for column in report.columns:
            # A bundle's id breaks after its name, so that columns stay narrow.
            table.add_column(column.name.replace("@", "\n@"), justify="right", overflow="fold")
        for figure in figures:
            table.add_row(
                figure.title, *(_shown(figure.name, column.metrics.get(figure.name)) for column in report.columns)
            )
        console.print(table)
    for line in _findings(report):
        console.print(line, markup=False)


def as_json(report: CaptionReport) -> str:
    """The same, with every word that was asked for."""
    return json.dumps(
        {
            "images": report.images,
            "captions": report.captions,
            "chosen": report.chosen.how,
            "findings": report.findings,
            "unreadable": report.unreadable,
            "columns": [asdict(column) for column in report.columns],
        },
        indent=2,
        ensure_ascii=False,
    )


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.4g}" if name in _WHOLE else f"{value:.3f}"


def _notes(report: CaptionReport) -> Iterator[str]:
    yield f"{report.columns[0].name}: {report.images:,} images, {report.captions:,} captions; {report.chosen.how}"
    yield from report.findings
    if report.unreadable:
        yield f"pictures that cannot be read, left out: {len(report.unreadable):,} ({some_of(report.unreadable)})"
    for column in report.columns:
        if column.unanswered:
            yield f"{column.name}: {column.unanswered:,} captions have no known word, and are ranked last"


def _findings(report: CaptionReport) -> Iterator[str]:
    for column in report.columns:
        if column.words:
            ordered = sorted(column.words, key=lambda word: -word.precision)
            yield f"{column.name}: words with the best precision@10: {_named(ordered[:_SHOWN])}"
            yield f"{column.name}: words with the worst precision@10: {_named(ordered[::-1][:_SHOWN])}"


def _named(words: Sequence[WordFigures]) -> str:
    return ", ".join(f"{each.word} {each.precision:.1f}" for each in words)
