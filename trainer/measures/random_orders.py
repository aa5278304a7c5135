"""What figures of an order come to if every order is equally likely: expectations in closed form, nothing drawn."""

from __future__ import annotations

from math import lgamma

import numpy as np
from numpy.typing import NDArray

from trainer.measures.searches import FIRST_PAGE

__all__ = ["average_precision_by_chance", "none_of", "precision_by_chance"]


def precision_by_chance(relevant: NDArray[np.int64], images: int) -> float:
    """Of queries with so many relevant images each, the mean share of the first ten that can be right."""
    page = min(FIRST_PAGE, images)
    return float(np.mean(page * relevant / images / np.minimum(relevant, FIRST_PAGE)))


def average_precision_by_chance(relevant: int, images: int) -> float:
    """The expected average precision: at rank k, one hit and (k − 1)(r − 1)/(n − 1) more before it."""
    if images == 1:
        return 1.0
    harmonic = float(np.sum(1 / np.arange(1, images + 1)))
    others = (relevant - 1) / (images - 1)
    return (harmonic + others * (images - harmonic)) / images


def none_of(right: int, tags: int, drawn: int) -> float:
    """The probability that none of some tags drawn is one of the right ones."""
    if tags - right < drawn:
        return 0.0 if right else 1.0
    return float(np.exp(_log_choose(tags - right, drawn) - _log_choose(tags, drawn)))


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
