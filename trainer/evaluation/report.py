"""The results of an evaluation, columns of figures and details, as JSON, tables and Markdown.

Contract: `as_json` holds every figure that tables and plots show, so that a card can be written from it. A value that
is not a number is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.table import Column as TableColumn
from rich.table import Table

from trainer.evaluation.words import Hubness, PairCorrelation
from trainer.measures.evaluate import ZeroShot
from trainer.measures.figures import Figure, in_order, shown
from trainer.measures.searches_and_tags import QueryFigures, Searches
from trainer.relevance.calibration import Reliability, SimilarityHistogram
from trainer.relevance.thresholds import SearchEffects

VERSION = 1
_WORST = 5


@dataclass(frozen=True)
class Column:
    """The figures of a bundle, or of something to compare it with, and on how many images; `note` says what it is."""

    name: str
    kind: Literal["bundle", "baseline"]
    images: int
    metrics: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class DataNote:
    """The data measured on. `foreign` says which words no image matches, and by which rule.

    `reporting`: how many images fitted no curve. `training`: how many images the baselines were fitted on.
    `unlabelled`: how many images were left out because nothing says what they show.
    """

    sources: tuple[str, ...]
    images: int
    classes: int
    hierarchy: str
    foreign: str
    reporting: int
    unreadable: tuple[str, ...] = ()
    trained_on: int = 0
    training: int = 0
    unlabelled: int = 0


@dataclass(frozen=True)
class BundleDetails:
    """The details behind a bundle's figures. `nearest`: words nearest to some words, with their cosines."""

    model: str
    searches: Searches
    bars: SearchEffects
    min_relevance: float
    text_reliability: Reliability | None
    tag_reliability: Reliability | None
    similarities: SimilarityHistogram
    nearest: Mapping[str, tuple[tuple[str, float], ...]]
    pairs: tuple[PairCorrelation, ...]
    hubs: Hubness
    zero_shot: ZeroShot | None = None


@dataclass(frozen=True)
class Report:
    """All results; the first bundle is the evaluated one, the others are for comparison."""

    data: DataNote
    columns: tuple[Column, ...]
    bundles: tuple[BundleDetails, ...]

    @property
    def model(self) -> str:
        """The id of the evaluated bundle."""
        return self.bundles[0].model


def as_json(report: Report) -> str:
    """Return the report as JSON."""
    first = report.columns[0]
    content = {
        "version": VERSION,
        "model": report.model,
        "data": asdict(report.data),
        "metrics": _finite(first.metrics),
        "columns": [asdict(column) | {"metrics": _finite(column.metrics)} for column in report.columns],
        "bundles": {details.model: _details(details) for details in report.bundles},
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


def _details(details: BundleDetails) -> dict[str, Any]:
    queries = {
        sort: {
            query.query: {
                "precision@10": query.precision,
                "average_precision": query.average_precision,
                "relevant": query.relevant,
            }
            for query in found
        }
        for sort, found in details.searches.queries.items()
    }
    similarities = {name: values.tolist() for name, values in vars(details.similarities).items()}
    occurrence, words = np.unique(details.hubs.counts, return_counts=True)
    return {
        "queries": queries,
        "thresholds": asdict(details.bars)
        | {"min_relevance": details.min_relevance, "empty": _number(details.bars.empty)},
        "reliability": {
            "text_to_image": _reliability(details.text_reliability),
            "tags": _reliability(details.tag_reliability),
        },
        "similarities": similarities,
        "nearest_words": {word: dict(near) for word, near in details.nearest.items()},
        "word_pairs": [asdict(each) | {"correlation": _number(each.correlation)} for each in details.pairs],
        "hubs": {
            "greatest": {"word": details.hubs.word, "occurrence": details.hubs.greatest},
            "words_by_occurrence": dict(zip(map(str, occurrence.tolist()), words.tolist(), strict=True)),
        },
        "zero_shot": None if details.zero_shot is None else _zero_shot(details.zero_shot),
    }


def _zero_shot(found: ZeroShot) -> dict[str, Any]:
    return {"metrics": found.metrics(), "queries": {query.query: query.precision for query in found.queries}}


def _reliability(found: Reliability | None) -> list[dict[str, float]]:
    if found is None:
        return []
    rows = zip(found.predicted.tolist(), found.right.tolist(), found.weight.tolist(), strict=True)
    return [{"predicted": predicted, "right": right, "weight": weight} for predicted, right, weight in rows]


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if np.isfinite(value)}


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def print_report(console: Console, report: Report) -> None:
    """Print the figures side by side, the data they were measured on, and the worst words."""
    for line in _notes(report):
        console.print(line, markup=False)
    for title, figures in _tables(report):
        table = Table(TableColumn("", overflow="fold"), title=title, title_justify="left")
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
    """Return the report as a page of Markdown."""
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
