"""Curves from cosine similarity to relevance, and a check that relevance is calibrated.

A relevance is 1 / (1 + exp(−(slope · similarity + offset))) (Platt 1999), fitted by maximum likelihood on pairs that
are right or wrong. Contract: slope > 0, so that relevance keeps the order of similarity. Right and wrong pairs count
with the same total weight: a relevance of 0.5 means that the similarity is equally common among right and wrong pairs,
whatever share of a gallery is right.

A relevance of 0.8 is calibrated if, of pairs drawn half from the right and half from the wrong ones, four in five at
that relevance are right. This is measured on images that no curve was fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.errors import EvaluationImpossible

Floats = NDArray[np.floating]
_ITERATIONS = 100
# Without a limit to the slope, pairs that are perfectly separable would drive it to infinity.
_RIDGE = 1e-6
BINS = 10
_HISTOGRAM_BINS = 60


@dataclass(frozen=True)
class LogisticCurve:
    """slope > 0 and offset of a relevance."""

    slope: float
    offset: float

    def __call__(self, similarity: Floats) -> NDArray[np.float64]:
        """Return the relevance, 0…1, of each similarity."""
        z = self.slope * np.asarray(similarity, dtype=np.float64) + self.offset
        relevance: NDArray[np.float64] = 1 / (1 + np.exp(-z))
        return relevance


def fit_logistic(right: Floats, wrong: Floats) -> LogisticCurve:
    """Fit a curve to the similarities of right and of wrong pairs, by Newton's method.

    Platt's smoothed targets (n + 1) / (n + 2) stand in for 1 and 0. If right pairs are not more similar than wrong ones
    on the whole, similarity is uninformative: the curve is then almost flat at one half.
    """
    x = np.concatenate([right, wrong]).astype(np.float64)
    high, low = (len(right) + 1) / (len(right) + 2), 1 / (len(wrong) + 2)
    target = np.concatenate([np.full(len(right), high), np.full(len(wrong), low)])
    weight = np.concatenate([np.full(len(right), 0.5 / len(right)), np.full(len(wrong), 0.5 / len(wrong))])
    design = np.stack([x, np.ones_like(x)], axis=1)
    parameters = np.zeros(2)
    for _ in range(_ITERATIONS):
        predicted = 1 / (1 + np.exp(-design @ parameters))
        gradient = design.T @ (weight * (predicted - target)) + _RIDGE * parameters
        hessian = (design * (weight * predicted * (1 - predicted))[:, None]).T @ design + _RIDGE * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        # Far from the optimum the curve is flat and a full Newton step overshoots without end; a short one cannot.
        parameters -= step * 10 / max(10.0, float(np.linalg.norm(step)))
        if np.abs(step).max() < 1e-9:
            break
    slope, offset = map(float, parameters)
    return LogisticCurve(slope, offset) if slope > 0 else LogisticCurve(1e-3, 0.0)


@dataclass(frozen=True)
class Pairs:
    """Similarities of right and of wrong pairs."""

    right: NDArray[np.float32]
    wrong: NDArray[np.float32]

    def fit(self) -> LogisticCurve:
        """Return the curve through them.

        Raises:
            EvaluationImpossible: there are no right or no wrong pairs.
        """
        if not len(self.right) or not len(self.wrong):
            raise EvaluationImpossible(
                "Relevance is fitted on right and on wrong pairs, but these images give only one of the two. "
                "Use more images of more classes."
            )
        return fit_logistic(self.right, self.wrong)


@dataclass(frozen=True)
class Reliability:
    """Bins of predicted relevance: its mean, the balanced share that is right, and the balanced share of all pairs.

    Empty bins are left out. `error` is the expected calibration error (Naeini et al. 2015): the mean distance between
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
    """Return the reliability of a curve on pairs; None if all are right or all are wrong."""
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
    """Return how similar right and wrong pairs are."""
    both = np.concatenate([pairs.right, pairs.wrong])
    edges = np.linspace(float(both.min()), float(both.max()) + 1e-6, bins + 1)
    right, wrong = (
        np.histogram(values, edges, density=len(values) > 0)[0].astype(np.float64)
        for values in (pairs.right, pairs.wrong)
    )
    return SimilarityHistogram(edges, right, wrong)
