"""Divide a map into regions: groups of places that lie together (k-means on the plane).

Grouping the vectors instead was rejected: a layout may put such a group in two places, with its middle on other images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.maps.layouts import Places
from gateway.maps.neighbors import Vectors

_MOST = 64
_ROUNDS = 25


@dataclass(frozen=True)
class Regions:
    """The regions of a map, those with most places first.

    `means` are the directions of the mean vectors, `rows` the row that is nearest to each.
    """

    counts: NDArray[np.int64]  # (k,)
    middles: Places  # (k, 2)
    means: Vectors  # (k, dimension)
    rows: NDArray[np.int64]  # (k,)


def find_regions(vectors: Vectors, places: Places) -> Regions:
    """Return regions that cover all places: one for few, 64 for 4,096 and more."""
    count = min(_MOST, max(1, round(math.sqrt(len(places))))) if len(places) else 0
    region_of = _grouped(places, count)
    members = [np.flatnonzero(region_of == number) for number in range(count)]
    members = sorted((each for each in members if len(each)), key=len, reverse=True)
    means = np.array([_direction(vectors, rows) for rows in members], np.float32).reshape(-1, vectors.shape[1])
    return Regions(
        counts=np.array([len(rows) for rows in members], np.int64),
        # Not the mean: that of a curved region may lie outside it.
        middles=np.array([_middle(places[rows]) for rows in members], np.float32).reshape(-1, 2),
        means=means,
        rows=np.array(
            [rows[int(np.argmax(vectors[rows] @ mean))] for rows, mean in zip(members, means, strict=True)], np.int64
        ),
    )


def _grouped(places: Places, count: int) -> NDArray[np.int64]:
    """Return the number of each place's group."""
    chance = np.random.default_rng(0)
    middles = _spread(places, count, chance)
    region_of = np.zeros(len(places), np.int64)
    for _ in range(_ROUNDS if count else 0):
        distances = (middles**2).sum(axis=1) - 2 * places @ middles.T
        nearest = distances.argmin(axis=1)
        if (nearest == region_of).all():
            break
        region_of = nearest
        sizes = np.bincount(region_of, minlength=count)
        for axis in range(2):
            sums = np.bincount(region_of, places[:, axis], minlength=count)
            middles[:, axis] = np.where(sizes, sums / np.maximum(sizes, 1), middles[:, axis])
    return region_of


def _spread(places: Places, count: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Choose first middles far from each other (k-means++)."""
    middles = np.zeros((count, 2))
    distances = np.full(len(places), 1.0)
    for number in range(count):
        weights = distances / distances.sum() if distances.sum() > 0 else None
        middles[number] = places[chance.choice(len(places), p=weights)]
        distances = np.minimum(
            distances if number else np.inf, ((places - middles[number]) ** 2).sum(axis=1, dtype=np.float64)
        )
    return middles


def _direction(vectors: Vectors, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    mean = vectors[rows].mean(axis=0, dtype=np.float64)
    return np.asarray(mean / (np.linalg.norm(mean) or 1.0))


def _middle(places: Places) -> Places:
    """Return the place nearest to the median."""
    median = np.median(places, axis=0)
    return np.asarray(places[int(((places - median) ** 2).sum(axis=1).argmin())])
