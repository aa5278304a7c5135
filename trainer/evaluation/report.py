"""What an evaluation found: columns of figures, one a bundle or baseline, and of each bundle what lies behind them.

Contract: ``as_json`` holds every figure that tables and plots show, so that a card can be written from it. Not a number
is no figure: it is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from trainer.evaluation.hubs import Hubness
from trainer.evaluation.word_pairs import PairCorrelation
from trainer.measures.searches import Searches
from trainer.measures.zero_shot import ZeroShot
from trainer.relevance.bars import SearchBars
from trainer.relevance.reliability import Reliability, SimilarityHistogram

__all__ = ["BundleDetails", "Column", "DataNote", "Report", "as_json"]

VERSION = 1


@dataclass(frozen=True)
class Column:
    """The figures of a bundle, or of something to compare it with, and on how many images; ``note`` says what it is."""

    name: str
    kind: Literal["bundle", "baseline"]
    images: int
    metrics: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class DataNote:
    """What was measured on. ``foreign`` says which words no image matches, and who judged so.

    ``reporting``: how many images fitted no curve. ``training``: how many images the baselines were fitted on.
    ``unlabelled``: how many images were left out because nothing says what they show.
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
    """What lies behind a bundle's figures. ``nearest``: words nearest to some words, with their cosines."""

    model: str
    searches: Searches
    bars: SearchBars
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
    """Everything found: the first bundle is the one in question, the others stand beside it."""

    data: DataNote
    columns: tuple[Column, ...]
    bundles: tuple[BundleDetails, ...]

    @property
    def model(self) -> str:
        """The id of the bundle in question."""
        return self.bundles[0].model


def as_json(report: Report) -> str:
    """The report for machines."""
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
