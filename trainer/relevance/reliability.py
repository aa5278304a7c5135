"""Whether a relevance means what it says: what it predicts against the share that is right.

Contract: right and wrong pairs count with the same total weight, as the curves are fitted (see ``calibration``): a
relevance of 0.8 is kept if, of pairs drawn half from the right and half from the wrong ones, four in five at that
relevance are right. The pairs are of images that no curve was fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.relevance.calibration import LogisticCurve
from trainer.relevance.fitting import Pairs

__all__ = ["Reliability", "SimilarityHistogram", "histogram", "reliability"]

BINS = 10
_HISTOGRAM_BINS = 60


@dataclass(frozen=True)
class Reliability:
    """Bins of predicted relevance: its mean, the balanced share that is right, and the balanced share of all pairs.

    Empty bins are left out. ``error`` is the expected calibration error (Naeini et al. 2015): the mean distance between
    the first two, weighed by the third.
    """

    predicted: NDArray[np.float64]
    right: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error, 0…1."""
        return float((np.abs(self.predicted - self.right) * self.weight).sum())


@dataclass(frozen=True)
class SimilarityHistogram:
    """Densities of right and of wrong pairs' similarities between edges: (bins + 1), (bins), (bins)."""

    edges: NDArray[np.float64]
    right: NDArray[np.float64]
    wrong: NDArray[np.float64]


def reliability(curve: LogisticCurve, pairs: Pairs, bins: int = BINS) -> Reliability | None:
    """The reliability of a curve on pairs; none where there are only right or only wrong ones."""
    if not len(pairs.right) or not len(pairs.wrong):
        return None
    predicted = curve(np.concatenate([pairs.right, pairs.wrong]))
    is_right = np.arange(len(predicted)) < len(pairs.right)
    weight = np.where(is_right, 0.5 / len(pairs.right), 0.5 / len(pairs.wrong))
    place = np.minimum((predicted * bins).astype(np.int64), bins - 1)
    total, mean, right = (
        np.bincount(place, weights=weight * values, minlength=bins).astype(np.float64)
        for values in (np.ones_like(predicted), predicted, is_right)
    )
    filled = total > 0
    return Reliability(mean[filled] / total[filled], right[filled] / total[filled], total[filled])


def histogram(pairs: Pairs, bins: int = _HISTOGRAM_BINS) -> SimilarityHistogram:
    """How similar right and wrong pairs are."""
    both = np.concatenate([pairs.right, pairs.wrong])
    edges = np.linspace(float(both.min()), float(both.max()) + 1e-6, bins + 1)
    right, wrong = (
        np.histogram(values, edges, density=len(values) > 0)[0].astype(np.float64)
        for values in (pairs.right, pairs.wrong)
    )
    return SimilarityHistogram(edges, right, wrong)
