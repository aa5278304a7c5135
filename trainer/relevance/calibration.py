"""From cosine similarity to relevance, and from which relevance on an answer is shown.

A relevance is 1 / (1 + exp(−(slope · similarity + offset))) (Platt 1999), fitted by maximum likelihood on pairs that
are right or wrong. Contract: slope > 0, so that relevance keeps the order of similarity. Right and wrong pairs count
with the same total weight: a relevance of 0.5 says that the similarity is as usual among right pairs as among wrong
ones, whatever share of a gallery happens to be right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LogisticCurve", "Threshold", "choose_threshold", "fit_logistic", "measure_threshold"]

Floats = NDArray[np.floating]

_ITERATIONS = 100
# Without a limit to the slope, pairs that are perfectly separable would drive it to infinity.
_RIDGE = 1e-6


@dataclass(frozen=True)
class LogisticCurve:
    """slope > 0 and offset of a relevance."""

    slope: float
    offset: float

    def __call__(self, similarity: Floats) -> NDArray[np.float64]:
        """The relevance, 0…1, of each similarity."""
        z = self.slope * np.asarray(similarity, dtype=np.float64) + self.offset
        relevance: NDArray[np.float64] = 1 / (1 + np.exp(-z))
        return relevance


def fit_logistic(right: Floats, wrong: Floats) -> LogisticCurve:
    """Fit a curve to the similarities of right and of wrong pairs, by Newton's method.

    Platt's smoothed targets (n + 1) / (n + 2) stand in for 1 and 0. If right pairs are not more similar than wrong
    ones on the whole, similarity tells nothing: the curve is then all but flat at one half.
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
class Threshold:
    """A least relevance and what it does.

    ``empty``: share of the queries that nothing matches which come back empty. ``kept``: share of the right answers
    that stay.
    """

    min_relevance: float
    empty: float
    kept: float


def choose_threshold(right: Floats, best_wrong: Floats, empty: float = 0.8) -> Threshold:
    """The least relevance at which a share of the unanswerable queries come back empty.

    ``right``: relevances of right answers. ``best_wrong``: the highest relevance that each unanswerable query finds.
    """
    threshold = float(np.quantile(best_wrong, empty, method="higher"))
    threshold = float(np.nextafter(np.float32(threshold), np.float32(1)))
    return measure_threshold(threshold, right, best_wrong)


def measure_threshold(min_relevance: float, right: Floats, best_wrong: Floats) -> Threshold:
    """What a least relevance does to answers it was not chosen on."""
    return Threshold(
        min_relevance=min_relevance,
        empty=float(np.mean(np.asarray(best_wrong) < min_relevance)),
        kept=float(np.mean(np.asarray(right) >= min_relevance)),
    )
