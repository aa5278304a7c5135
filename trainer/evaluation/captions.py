"""Measure how well captions find pictures, and pictures captions, and report it.

Contract, after the protocol of Karpathy & Fei-Fei (2015): every caption is a query for its own picture among n; every
picture is a query for the best of its own captions among all. Ranks count from 1; of equal similarities the earlier
comes first. A caption that the space has no vector for is ranked last. Words are judged by
`trainer.labels.caption_words`: pictures for which a word is neither right nor wrong take no part in its search. The
figures by chance are exact; nothing is sampled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Column, Table

from trainer.data_sets.captions import some_of
from trainer.labels.caption_words import NEITHER, RIGHT
from trainer.measures.figures import Figure
from trainer.measures.ranking import (
    FIRST_PAGE,
    average_precision,
    average_precision_by_chance,
    none_of,
    precision_at,
    precision_by_chance,
)
from trainer.measures.searches_and_tags import nearest_tags

RECALLS = (1, 5, 10)
TAGS = (1, 5)
WORD_SHOWN_BY = 5
_CHUNK = 512
Vectors = NDArray[np.float32]
Ranks = NDArray[np.int64]
_SHOWN = 8
_WHOLE = frozenset({"words", "caption_to_image_median_rank", "image_to_caption_median_rank"})


@dataclass(frozen=True)
class CaptionVectors:
    """Captions as queries.

    `vectors`: (captions, dimension), unit rows. `owners`: (captions), the picture of each. `answered`: (captions),
    whether the space has a vector for it.
    """

    vectors: Vectors
    owners: NDArray[np.int64]
    answered: NDArray[np.bool_]


@dataclass(frozen=True)
class WordFigures:
    """The search for a word: how many pictures it is right for, its precision@10 and average precision."""

    word: str
    relevant: int
    precision: float
    average_precision: float


def image_ranks(captions: CaptionVectors, images: Vectors) -> Ranks:
    """Return the rank of each caption's own picture among the pictures, (n, dimension): (captions)."""
    ranks = np.full(len(captions.owners), len(images), dtype=np.int64)
    asked = np.flatnonzero(captions.answered)
    for start in range(0, len(asked), _CHUNK):
        rows = asked[start : start + _CHUNK]
        similarity, own = captions.vectors[rows] @ images.T, captions.owners[rows, None]
        ranks[rows] = _ranks(similarity, own)
    return ranks


def own_caption_ranks(captions: CaptionVectors, images: Vectors) -> Ranks:
    """Return the rank of the best of each picture's own captions, at least one, among all captions: (n)."""
    ranks = np.empty(len(images), dtype=np.int64)
    for start in range(0, len(images), _CHUNK):
        similarity = images[start : start + _CHUNK] @ captions.vectors.T
        similarity[:, ~captions.answered] = -np.inf
        numbers = np.arange(start, start + len(similarity))[:, None]
        best = np.where(captions.owners == numbers, similarity, -np.inf).max(axis=1, keepdims=True)
        first = np.argmax((captions.owners == numbers) & (similarity == best), axis=1)
        found = _ranks(similarity, first[:, None])
        ranks[start : start + _CHUNK] = np.where(np.isfinite(best[:, 0]), found, len(captions.owners))
    return ranks


def _ranks(similarity: Vectors, own: NDArray[np.int64]) -> Ranks:
    """Return the rank of one column, `own` (rows, 1), of each row."""
    score = np.take_along_axis(similarity, own, axis=1)
    earlier = np.arange(similarity.shape[1]) < own
    before = (similarity > score) | ((similarity == score) & earlier)
    ranks: Ranks = 1 + before.sum(axis=1, dtype=np.int64)
    return ranks


def retrieval_metrics(direction: str, ranks: Ranks) -> dict[str, float]:
    """Return R@1, R@5, R@10 (shares) and the median rank, by name."""
    recalls = {f"{direction}_recall@{k}": float((ranks <= k).mean()) for k in RECALLS}
    return recalls | {f"{direction}_median_rank": float(np.median(ranks))}


def searchable_words(shown: NDArray[np.int8]) -> NDArray[np.int64]:
    """Return the columns of (images, words) that are right for enough images to be searched for."""
    return np.flatnonzero((shown == RIGHT).sum(axis=0) >= WORD_SHOWN_BY)


def search_words(
    words: Sequence[str], vectors: Vectors, shown: NDArray[np.int8], images: Vectors
) -> tuple[WordFigures, ...]:
    """Return the figures of searches for w words, `vectors` (w, dimension), among images; `shown`: int8 (n, w)."""
    if not words:
        return ()
    relevant = (shown == RIGHT).T
    similarity = np.where((shown == NEITHER).T, -np.inf, vectors @ images.T)
    columns = (precision_at(FIRST_PAGE, similarity, relevant), average_precision(similarity, relevant))
    return tuple(
        WordFigures(word, int(count), float(precision), float(average))
        for word, count, precision, average in zip(words, relevant.sum(axis=1), *columns, strict=True)
    )


def right_tags_among(
    tags: Vectors, column_of_tag: Mapping[int, int], shown: NDArray[np.int8], images: Vectors
) -> dict[int, float]:
    """Return the share of images with a right word among their first k tags, for each k of `TAGS`.

    `column_of_tag`: where the words of `shown`, int8 (images, words), stand among the tags; others are wrong.
    """
    right = np.zeros((len(images), len(tags)), dtype=np.bool_)
    for tag, column in column_of_tag.items():
        right[:, tag] = shown[:, column] == RIGHT
    nearest = np.concatenate([found for found, _ in nearest_tags(images, tags, max(TAGS))])
    hits = np.take_along_axis(right, nearest, axis=1)
    return {k: float(hits[:, :k].any(axis=1).mean()) for k in TAGS}


def retrieval_by_chance(direction: str, own: NDArray[np.int64], among: int) -> dict[str, float]:
    """Return R@k and the median rank of the best of each query's right answers.

    `own`: (queries), how many answers are right; `among`: the number of candidates.
    """
    counts, times = np.unique(own, return_counts=True)
    weights = times / times.sum()
    missed = np.ones(among + 1)  # the share of queries without a right answer in the first k
    for k in range(1, among + 1):
        missed[k] = float(np.dot(weights, [none_of(int(count), among, k) for count in counts]))
    median = int(np.argmax(missed <= 0.5))
    recalls = {f"{direction}_recall@{k}": float(1 - missed[min(k, among)]) for k in RECALLS}
    return recalls | {f"{direction}_median_rank": float(median)}


def words_by_chance(found: Sequence[WordFigures], judged: NDArray[np.int64]) -> dict[str, float]:
    """Return the figures of the same searches by chance; `judged`: (searches), the images that each is among."""
    if not found:
        return {}
    counts = list(zip([each.relevant for each in found], judged.tolist(), strict=True))
    precision = [precision_by_chance(np.array([relevant]), among) for relevant, among in counts]
    average = [average_precision_by_chance(relevant, among) for relevant, among in counts]
    return {"word_precision@10": float(np.mean(precision)), "word_map": float(np.mean(average))}


def tags_by_chance(right: NDArray[np.int64], tags: int) -> dict[str, float]:
    """Return the share of images with a right one among k random tags; `right`: (images), how many tags are right."""
    return {f"tagged@{k}": float(np.mean([1 - none_of(int(each), tags, k) for each in right])) for k in TAGS}


@dataclass(frozen=True)
class Chosen:
    """The paths to measure; `how` describes the choice for people."""

    paths: tuple[str, ...]
    how: str


@dataclass(frozen=True)
class CaptionColumn:
    """The figures of a bundle, or of chance. `unanswered`: captions that the bundle has no vector for."""

    name: str
    metrics: dict[str, float]
    words: tuple[WordFigures, ...] = ()
    unanswered: int = 0


@dataclass(frozen=True)
class CaptionReport:
    """`columns`: the first bundle, the other bundles, and chance. `unreadable`: paths of pictures left out."""

    images: int
    captions: int
    chosen: Chosen
    findings: tuple[str, ...]
    unreadable: tuple[str, ...]
    columns: tuple[CaptionColumn, ...]


def _figure_list() -> Iterator[Figure]:
    for direction, title in (("caption_to_image", "Caption → image"), ("image_to_caption", "Image → caption")):
        yield from (Figure(f"{direction}_recall@{k}", f"R@{k}", title) for k in RECALLS)
        yield Figure(f"{direction}_median_rank", "median rank", title)
    table = f"Words of the captions → image, right for {WORD_SHOWN_BY} images or more"
    yield Figure("words", "words asked for", table)
    yield Figure("word_precision@10", "precision@10", table)
    yield Figure("word_map", "mean average precision", table)
    yield from (Figure(f"tagged@{k}", f"first {k}", "Right word among the first tags") for k in TAGS)


FIGURES = tuple(_figure_list())


def print_captions(console: Console, report: CaptionReport) -> None:
    """Print the figures side by side, the data they were measured on, and the best and worst words."""
    for line in _notes(report):
        console.print(line, markup=False)
    for title, figures in groupby(FIGURES, key=lambda figure: figure.table):
        table = Table(Column("", overflow="fold"), title=title, title_justify="left")
        for column in report.columns:
            # A bundle's id breaks after its name, so that columns stay narrow.
            table.add_column(column.name.replace("@", "\n@"), justify="right", overflow="fold")
        for figure in figures:
            table.add_row(
                figure.title, *(_formatted(figure.name, column.metrics.get(figure.name)) for column in report.columns)
            )
        console.print(table)
    for line in _findings(report):
        console.print(line, markup=False)


def captions_as_json(report: CaptionReport) -> str:
    """Return the report as JSON, with every word that was searched for."""
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


def _formatted(name: str, value: float | None) -> str:
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
