"""Distributions of vectors for which a planner must reach its target, each with queries of its kind that are not rows.

- words: real word vectors, all that exist; the queries are words that are left out.
- mixtures: three random words with Dirichlet weights (uniform), plus noise 0.3 times as long.
- clusters: 1,000 random centres, plus noise 0.8 times as long.
- uniform: all directions are equally likely. In so many dimensions no index is much faster than comparing all rows.

The same arguments give the same numbers, and the rows of a smaller size are the first rows of a larger one.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_CHUNK = 10_000
_PARTS = 3
_MIXTURE_NOISE = 0.3
_CENTRES = 1_000
_CLUSTER_NOISE = 0.8
# Chunks of rows and of queries are seeded with this number and with their start.
_ROWS, _QUERIES, _ORDER, _CENTRE = range(4)


class Distribution(StrEnum):
    """The kinds of vectors."""

    WORDS = "words"
    MIXTURES = "mixtures"
    CLUSTERS = "clusters"
    UNIFORM = "uniform"


def write_rows(file: Path, kind: Distribution, words_file: Path, count: int, queries: int) -> Vectors:
    """Write `count` rows, float32 (n, dimension) of length 1, and return the queries (m, dimension).

    Args:
        file: the file for the rows, in NumPy's format.
        kind: the distribution to draw from.
        words_file: real word vectors, float16 (n, dimension).
        count: the number of rows; for words, at most as many as exist.
        queries: the number of queries.
    """
    words = _unit(np.load(words_file).astype(np.float32))
    if kind is Distribution.WORDS:
        words = words[np.random.default_rng(_ORDER).permutation(len(words))]
        np.save(file, words[queries : queries + count])
        return words[:queries]
    rows = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(count, words.shape[1]))
    for start in range(0, count, _CHUNK):
        rows[start : start + _CHUNK] = _drawn(kind, words, (_ROWS, start))[: count - start]
    rows.flush()
    return np.concatenate([_drawn(kind, words, (_QUERIES, start)) for start in range(0, queries, _CHUNK)])[:queries]


def _drawn(kind: Distribution, words: Vectors, seed: tuple[int, int]) -> Vectors:
    """Return a chunk (10,000, dimension), always full, so that fewer rows are a prefix of more."""
    generator = np.random.default_rng(seed)
    noise = _unit(generator.standard_normal((_CHUNK, words.shape[1]), dtype=np.float32))
    match kind:
        case Distribution.MIXTURES:
            weights = generator.dirichlet(np.ones(_PARTS), size=_CHUNK).astype(np.float32)
            parts = words[generator.integers(len(words), size=(_CHUNK, _PARTS))]
            return _unit(_unit(np.einsum("np,npd->nd", weights, parts)) + _MIXTURE_NOISE * noise)
        case Distribution.CLUSTERS:
            centres = _unit(
                np.random.default_rng(_CENTRE).standard_normal((_CENTRES, words.shape[1]), dtype=np.float32)
            )
            return _unit(centres[generator.integers(_CENTRES, size=_CHUNK)] + _CLUSTER_NOISE * noise)
        case _:
            return noise


def _unit(vectors: Vectors) -> Vectors:
    shortened: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return shortened
