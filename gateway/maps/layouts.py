"""Places on a plane for vectors, so that near vectors have near places.

`principal` is linear and takes a fraction of a second for 100,000 vectors. `neighborly` is t-SNE: it begins with the
principal places and moves each vector to its nearest neighbours. openTSNE is an extra (`map`); without it the principal
places are final. See docs/decisions/0031-the-map.md for what else was measured.

All places lie in the square from −1 to 1. The same vectors get the same principal places on every machine.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from gateway.maps.neighbors import OnFraction, Vectors, nearest_rows

Places = NDArray[np.float32]  # (n, 2)

# Fewer vectors have no groups.
_FEWEST = 10
# Any others are placed beside their nearest neighbours among these, so time and memory stay bounded.
_MOST = 200_000
_BESIDE = 5
_BLOCK = 16_384
_PERPLEXITY = 10.0
_NEIGHBORS = 30  # three times the perplexity, as van der Maaten chose
_EARLY_ROUNDS, _ROUNDS = 150, 350
_EARLY_EXAGGERATION = 12.0
# In a large collection, groups stand apart as islands (2). In a small one they are spread, to show each image (1).
_EXAGGERATION = 2.0
_FEWEST_EXAGGERATED = 10_000
_REPORT_ROUNDS = 10
# Seconds of processor time with the tree (Barnes-Hut) and with interpolation: 6.4 and 7.5 for 2,000 vectors, 20 and 11
# for 5,000.
_FEWEST_INTERPOLATED = 2_500


def can_be_neighborly(count: int) -> bool:
    """Return whether this many vectors can be laid out by their neighbours, with what is installed."""
    return count >= _FEWEST and find_spec("openTSNE") is not None


def principal(vectors: Vectors) -> Places:
    """Return places along the two directions in which the vectors differ most."""
    count, dimension = vectors.shape
    total = np.zeros(dimension)
    products = np.zeros((dimension, dimension))
    for start in range(0, count, _BLOCK):
        block = vectors[start : start + _BLOCK]
        total += block.sum(axis=0, dtype=np.float64)
        products += block.T @ block
    mean = total / max(count, 1)
    _, directions = np.linalg.eigh(products / max(count, 1) - np.outer(mean, mean))  # by ascending variance
    axes = np.zeros((dimension, 2))
    axes[:, : min(dimension, 2)] = directions[:, ::-1][:, :2]
    # A direction and its opposite are equally good: the larger elements decide, so that a map is never mirrored.
    axes *= np.where(axes.sum(axis=0) < 0, -1.0, 1.0)
    axes32, shift = axes.astype(np.float32), (mean @ axes).astype(np.float32)
    places = np.empty((count, 2), np.float32)
    for start in range(0, count, _BLOCK):
        places[start : start + _BLOCK] = vectors[start : start + _BLOCK] @ axes32 - shift
    return _in_square(places)


def neighborly(
    vectors: Vectors, start: Places, threads: int, on_neighbors: OnFraction, on_layout: OnFraction
) -> Places:
    """Return places where neighbours stay together.

    Args:
        vectors: At least `_FEWEST`.
        start: Their principal places.
        threads: How many threads may compute.
        on_neighbors: Receives the fraction of the neighbours that are found.
        on_layout: Receives the fraction of the moves that are made.
    """
    if len(vectors) <= _MOST:
        return _in_square(_moved(vectors, start, threads, on_neighbors, on_layout))
    chosen = np.sort(np.random.default_rng(0).choice(len(vectors), _MOST, replace=False))
    laid_out = np.ascontiguousarray(vectors[chosen])
    places = np.empty((len(vectors), 2), np.float32)
    places[chosen] = _moved(laid_out, start[chosen], threads, on_neighbors, on_layout)
    others = np.setdiff1d(np.arange(len(vectors)), chosen)
    rows, _ = nearest_rows(laid_out, _BESIDE, threads, queries=vectors[others])
    places[others] = np.median(places[chosen][rows], axis=1)
    return _in_square(places)


def _moved(vectors: Vectors, start: Places, threads: int, on_neighbors: OnFraction, on_layout: OnFraction) -> Places:
    # Imported where it is used: it is an extra, and brings SciPy and scikit-learn.
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    count = len(vectors)
    neighbors = min(_NEIGHBORS, count - 1)
    rows, distances = nearest_rows(vectors, neighbors, threads, on_fraction=on_neighbors)
    affinities = PerplexityBasedNN(
        perplexity=min(_PERPLEXITY, neighbors / 3),
        knn_index=PrecomputedNeighbors(rows, distances),
        n_jobs=threads,
    )
    spread = float(start[:, 0].std()) or 1.0
    embedding = TSNEEmbedding(
        start.astype(np.float64) * (1e-4 / spread),
        affinities,
        negative_gradient_method="bh" if count < _FEWEST_INTERPOLATED else "fft",
        n_jobs=threads,
        random_state=0,
    )
    done = 0

    def moved(_round: int, _error: float, _places: object) -> None:
        nonlocal done
        done += _REPORT_ROUNDS
        on_layout(min(1.0, done / (_EARLY_ROUNDS + _ROUNDS)))

    calls = {"callbacks": [moved], "callbacks_every_iters": _REPORT_ROUNDS}
    embedding = embedding.optimize(_EARLY_ROUNDS, exaggeration=_EARLY_EXAGGERATION, momentum=0.5, **calls)
    exaggeration = _EXAGGERATION if count >= _FEWEST_EXAGGERATED else 1.0
    embedding = embedding.optimize(_ROUNDS, exaggeration=exaggeration, momentum=0.8, **calls)
    return np.asarray(embedding, dtype=np.float32)


def _in_square(places: Places) -> Places:
    """Move and scale places into the square from −1 to 1, keeping their proportions."""
    if not len(places):
        return places
    low, high = places.min(axis=0), places.max(axis=0)
    size = float((high - low).max()) or 1.0
    return np.asarray(np.clip((places - (low + high) / 2) * (2 / size), -1, 1), dtype=np.float32)
