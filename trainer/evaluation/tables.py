"""A report for people: as tables on a console, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.console import Console
from rich.table import Column, Table

from trainer.evaluation.report import BundleDetails, Report
from trainer.measures.figures import Figure, in_order, shown
from trainer.measures.searches import QueryFigures

__all__ = ["as_markdown", "print_report"]

_WORST = 5


def print_report(console: Console, report: Report) -> None:
    """Prints the figures side by side, what they were measured on, and which words do worst."""
    for line in _notes(report):
        console.print(line, markup=False)
    for title, figures in _tables(report):
        table = Table(Column("", overflow="fold"), title=title, title_justify="left")
        for column in report.columns:
            # A bundle's id breaks after its name, so that columns stay narrow.
            table.add_column(column.name.replace("@", "\n@"), justify="right", overflow="fold")
        for row in _rows(report, figures):
            table.add_row(*row)
        console.print(table)
    for details in report.bundles:
        console.print(f"{details.model}:", markup=False)
        for line in _findings(details):
            console.print(f"  {line}", markup=False)


def as_markdown(report: Report) -> str:
    """The same as a page of Markdown."""
    lines = [f"# Evaluation of {report.model}", "", *(f"- {line}" for line in _notes(report)), ""]
    for title, figures in _tables(report):
        lines += [f"## {title}", "", _markdown_row(["", *(column.name for column in report.columns)])]
        lines.append("| --- |" + " ---: |" * len(report.columns))
        lines += [*map(_markdown_row, _rows(report, figures)), ""]
    for details in report.bundles:
        lines += [f"## Behind the figures of {details.model}", "", *(f"- {line}" for line in _findings(details)), ""]
    return "\n".join(lines)


def _tables(report: Report) -> Iterator[tuple[str, tuple[Figure, ...]]]:
    figures = in_order(column.metrics for column in report.columns)
    for title, group in groupby(figures, key=lambda figure: figure.table):
        yield title, tuple(group)


def _rows(report: Report, figures: Iterable[Figure]) -> Iterator[list[str]]:
    for figure in figures:
        yield [figure.title, *(shown(figure.name, column.metrics.get(figure.name)) for column in report.columns)]


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _notes(report: Report) -> Iterator[str]:
    data = report.data
    yield f"{report.model}: {data.images:,} images of {data.classes} classes, from {', '.join(data.sources)}"
    yield f"hierarchy: {data.hierarchy}"
    yield f"thresholds and calibration: on the {data.reporting:,} images that `export` leaves out; {data.foreign}"
    if data.training:
        yield f"baselines: fitted on {data.training:,} training images"
    if data.trained_on:
        yield f"{data.trained_on:,} images were left out because training saw them"
    if data.unlabelled:
        yield f"{data.unlabelled:,} images were left out because they have no label"
    if data.unreadable:
        yield f"{len(data.unreadable):,} images could not be read: {', '.join(data.unreadable[:_WORST])}"
    for column in report.columns:
        if column.note:
            yield f"{column.name}: {column.note}"


def _findings(details: BundleDetails) -> Iterator[str]:
    for sort, queries in details.searches.queries.items():
        yield f"{len(queries)} searches by {sort}, worst precision@10: {_worst(queries)}"
    bars = details.bars
    yield (
        f"default threshold: relevance {details.min_relevance:.2f}, tried with {bars.unanswerable:,} words that no "
        f"image matches and {bars.answerable:,} that one does"
    )
    for pairs in details.pairs:
        yield f"word pairs, {pairs.name}: {pairs.known} of {pairs.pairs} are in the vocabulary"
    for word, near in details.nearest.items():
        yield f"nearest to “{word}”: {', '.join(other for other, _ in near) or 'not in the vocabulary'}"
    yield f"greatest 10-occurrence: {details.hubs.greatest}, of “{details.hubs.word}”"
    if details.zero_shot:
        yield f"kept-out classes, worst precision@10: {_worst(details.zero_shot.queries)}"


def _worst(queries: Iterable[QueryFigures]) -> str:
    worst = sorted(queries, key=lambda query: query.precision)[:_WORST]
    return ", ".join(f"{query.query} {query.precision:.1f}" for query in worst)
