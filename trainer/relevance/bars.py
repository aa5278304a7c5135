"""What a bundle's default thresholds do to searches and tags, on images and words that chose neither.

empty      of words that no image matches, the share that comes back with nothing
on_top     of words that an image matches, the share whose first image is a right one and reaches the threshold
in_five    the same of one among the first five
kept       of right images on the first pages, the share that reaches the threshold
left_out   of the wrong words among images' ten nearest tags, the share below the threshold for tags
tags_kept  of the right ones among them, the share that reaches it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.errors import EvaluationImpossible
from trainer.labels.class_words import Vocabulary
from trainer.measures.ranking import top
from trainer.measures.searches import FIRST_PAGE
from trainer.measures.truth import Truth
from trainer.relevance.calibration import LogisticCurve
from trainer.relevance.fitting import Pairs, nearest_similarity

__all__ = ["SearchBars", "search_bars", "tag_bars"]

_FIRST = 5


@dataclass(frozen=True)
class SearchBars:
    """The shares above, 0…1, and of how many words and images; ``empty`` is nan if no word is known to match none."""

    empty: float
    on_top: float
    in_five: float
    kept: float
    unanswerable: int
    answerable: int
    images: int


def search_bars(
    truth: Truth, vocabulary: Vocabulary, foreign: Sequence[str], curve: LogisticCurve, min_relevance: float
) -> SearchBars:
    """The effect of a threshold on searches for every label and kind shown, and for foreign words.

    Raises:
        EvaluationImpossible: there are no images.
    """
    if not len(truth.labels):
        raise EvaluationImpossible(
            "The effect of thresholds is told on images that did not choose them, and here are none. Give more images."
        )
    words = (*truth.label_words, *truth.kind_words)
    similarity = vocabulary.vectors(words) @ truth.vectors.T
    page = top(similarity, FIRST_PAGE)
    right = np.take_along_axis(truth.relevance(words), page, axis=1)
    stays = _reaches(curve, np.take_along_axis(similarity, page, axis=1), min_relevance) & right
    return SearchBars(
        empty=_empty(nearest_similarity(truth, foreign, vocabulary), curve, min_relevance),
        on_top=float(stays[:, 0].mean()),
        in_five=float(stays[:, :_FIRST].any(axis=1).mean()),
        kept=float(stays.sum() / max(1, right.sum())),
        unanswerable=len(foreign),
        answerable=len(words),
        images=len(truth.labels),
    )


def _empty(nearest: NDArray[np.float32], curve: LogisticCurve, min_relevance: float) -> float:
    return float(np.mean(~_reaches(curve, nearest, min_relevance))) if len(nearest) else float("nan")


def tag_bars(pairs: Pairs, curve: LogisticCurve, min_relevance: float) -> tuple[float, float]:
    """``left_out`` and ``tags_kept``; nan of what there is none of."""
    left_out, kept = (
        float(np.mean(_reaches(curve, values, min_relevance))) if len(values) else float("nan")
        for values in (pairs.wrong, pairs.right)
    )
    return 1 - left_out, kept


def _reaches(curve: LogisticCurve, similarity: NDArray[np.float32], min_relevance: float) -> NDArray[np.bool_]:
    reached: NDArray[np.bool_] = curve(similarity) >= min_relevance
    return reached
