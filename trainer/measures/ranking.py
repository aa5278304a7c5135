"""Measures of a ranking: hit@k, precision@k and average precision, and their values by chance.

Contract: scores are similarities, greater is nearer; of equal scores the one at the lower position wins, as in a stable
sort. Every function is exact; expectations of random orders are in closed form, nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, lgamma

import numpy as np
from numpy.typing import NDArray

from trainer.measures.truth import Truth

Floats = NDArray[np.floating]
FIRST_PAGE = 10


def top(scores: Floats, k: int) -> NDArray[np.int64]:
    """Return the positions of the k greatest scores of each row, greatest first: (n, min(k, columns))."""
    columns = scores.shape[1]
    if columns <= k:
        return np.argsort(-scores, axis=1, kind="stable").astype(np.int64)
    # Finding the k-th score takes a tenth of the time of sorting a row of thousands; what ties with it is sorted too.
    least = np.partition(scores, columns - k, axis=1)[:, columns - k]
    order = np.empty((len(scores), k), dtype=np.int64)
    for row, (values, bound) in enumerate(zip(scores, least, strict=True)):
        candidates = np.flatnonzero(values >= bound)
        order[row] = candidates[np.argsort(-values[candidates], kind="stable")[:k]]
    return order


def hit_at(ks: Sequence[int], scores: Floats, right: NDArray[np.bool_]) -> dict[int, float]:
    """Return the share of rows with a right column among the k greatest (flat hit@k, Frome et al. 2013), for each k."""
    found = np.take_along_axis(right, top(scores, max(ks)), axis=1)
    return {k: float(found[:, :k].any(axis=1).mean()) for k in ks}


def precision_at(k: int, scores: Floats, relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of relevant items among each row's first k: (n,).

    If fewer than k items are relevant, the best possible result counts as 1.
    """
    first = np.take_along_axis(relevant, top(scores, k), axis=1)
    possible = np.minimum(relevant.sum(axis=1), k)
    if np.any(possible == 0):
        raise ValueError("a query without any relevant item has no precision")
    precision: NDArray[np.float64] = first.sum(axis=1) / possible
    return precision


def average_precision(scores: Floats, relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return for each row the mean precision at the ranks of its relevant items, over the whole order: (n,)."""
    order = np.argsort(-scores, axis=1, kind="stable")
    found = np.take_along_axis(relevant, order, axis=1)
    count = found.sum(axis=1)
    if np.any(count == 0):
        raise ValueError("a query without any relevant item has no precision")
    precision = found.cumsum(axis=1) / np.arange(1, found.shape[1] + 1)
    average: NDArray[np.float64] = (precision * found).sum(axis=1) / count
    return average


def precision_by_chance(relevant: NDArray[np.int64], images: int) -> float:
    """Return the mean precision@10 of a random order, for queries with `relevant` right images each."""
    page = min(FIRST_PAGE, images)
    return float(np.mean(page * relevant / images / np.minimum(relevant, FIRST_PAGE)))


def average_precision_by_chance(relevant: int, images: int) -> float:
    """Return the expected average precision: at rank k, one hit and (k − 1)(r − 1)/(n − 1) more before it."""
    if images == 1:
        return 1.0
    harmonic = float(np.sum(1 / np.arange(1, images + 1)))
    others = (relevant - 1) / (images - 1)
    return (harmonic + others * (images - harmonic)) / images


def none_of(right: int, tags: int, drawn: int) -> float:
    """Return the probability that none of some tags drawn is one of the right ones."""
    if tags - right < drawn:
        return 0.0 if right else 1.0
    return float(np.exp(_log_choose(tags - right, drawn) - _log_choose(tags, drawn)))


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def hit_by_chance(truth: Truth, k: int) -> float:
    """Return hit@k of a random order of the classes: k / classes for an image with one label."""
    classes = len(truth.classes)
    labels, images = np.unique(truth.shows.sum(axis=1), return_counts=True)
    orders, drawn = comb(classes, min(k, classes)), min(k, classes)
    hits = [(orders - comb(classes - int(each), drawn)) / orders for each in labels]
    return float(np.dot(hits, images / len(truth.labels)))
