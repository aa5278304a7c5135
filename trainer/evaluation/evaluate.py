"""How well a space finds what it should: the measures of an evaluation, over vectors.

Contract: vectors are unit rows; a query is its word's own vector, as the services answer it; an image is relevant to
a word if the word is its class's label or one of its kinds. Nothing here knows files or networks, so a head in
training and a bundle as served are measured by the same code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.class_words import Vocabulary
from trainer.errors import EvaluationImpossible
from trainer.evaluation.ranking import hit_at, precision_at, top
from trainer.evaluation.truth import Truth

__all__ = ["Evaluation", "QueryPrecision", "evaluate"]

HITS = (1, 2, 5, 10)
PRECISION = 10
TAGS = 5
_CHUNK = 512


@dataclass(frozen=True)
class QueryPrecision:
    """A word, the share of right images among the first ten it finds, and how many right ones there are."""

    word: str
    precision: float
    relevant: int


@dataclass(frozen=True)
class Evaluation:
    """The figures. Shares are 0…1; ``kind_queries`` is empty for classes without kinds.

    ``hits``: share of images whose label's vector is among the nearest k of all classes' label vectors.
    ``word_hits``: the same with each label's word alone for its vector: zero-shot classification as served.
    ``tagged``: share of images with a right word among the first five of the taggable vocabulary.
    """

    images: int
    classes: int
    hits: dict[int, float]
    word_hits: dict[int, float]
    label_queries: tuple[QueryPrecision, ...]
    kind_queries: tuple[QueryPrecision, ...]
    tagged: float

    @property
    def label_precision(self) -> float:
        """Mean precision@10 of the labels' words."""
        return _mean(self.label_queries)

    @property
    def kind_precision(self) -> float:
        """Mean precision@10 of the kinds' words."""
        return _mean(self.kind_queries)

    def metrics(self) -> dict[str, float]:
        """The figures by name, as a bundle's manifest holds them."""
        return {
            "images": float(self.images),
            "classes": float(self.classes),
            **{f"hit@{k}": share for k, share in self.hits.items()},
            **{f"word_hit@{k}": share for k, share in self.word_hits.items()},
            "label_precision@10": self.label_precision,
            **({"kind_precision@10": self.kind_precision} if self.kind_queries else {}),
            "tagged@5": self.tagged,
        }


def evaluate(truth: Truth, vocabulary: Vocabulary, taggable: NDArray[np.bool_], nearest_kinds: int) -> Evaluation:
    """Measure a space on embedded images.

    ``taggable``: (words), which words may be tags. ``nearest_kinds``: how many kinds are in a label's vector.

    Raises:
        EvaluationImpossible: there are no images, or fewer than two classes.
    """
    if not len(truth.labels) or len(truth.classes) < 2:
        raise EvaluationImpossible("An evaluation needs images of at least two classes. Check the folder and labels.")
    targets = np.stack([vocabulary.label_vector(each, nearest_kinds) for each in truth.classes])
    words = vocabulary.vectors([each.word for each in truth.classes])
    return Evaluation(
        images=len(truth.labels),
        classes=len(truth.classes),
        hits=hit_at(HITS, truth.vectors @ targets.T, truth.labels),
        word_hits=hit_at(HITS, truth.vectors @ words.T, truth.labels),
        label_queries=_query(truth, vocabulary, truth.label_words),
        kind_queries=_query(truth, vocabulary, truth.kind_words),
        tagged=_tagged(truth, vocabulary, taggable),
    )


def _query(truth: Truth, vocabulary: Vocabulary, words: Sequence[str]) -> tuple[QueryPrecision, ...]:
    if not words:
        return ()
    relevant = truth.relevance(words)
    precision = precision_at(PRECISION, vocabulary.vectors(words) @ truth.vectors.T, relevant)
    counts = relevant.sum(axis=1)
    return tuple(
        QueryPrecision(word, float(share), int(count))
        for word, share, count in zip(words, precision, counts, strict=True)
    )


def _tagged(truth: Truth, vocabulary: Vocabulary, taggable: NDArray[np.bool_]) -> float:
    tags = [word for word, may in zip(vocabulary.words, taggable, strict=True) if may]
    vectors = vocabulary.vectors(tags)
    right = 0
    for start in range(0, len(truth.labels), _CHUNK):
        rows = slice(start, start + _CHUNK)
        best = top(truth.vectors[rows] @ vectors.T, TAGS)
        for label, places in zip(truth.labels[rows], best, strict=True):
            right += any(tags[place] in truth.classes[label].words for place in places)
    return right / len(truth.labels)


def _mean(queries: Sequence[QueryPrecision]) -> float:
    return float(np.mean([query.precision for query in queries])) if queries else float("nan")
