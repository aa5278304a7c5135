"""Hubs: words that are among the nearest of many others, and so come up whatever is asked for.

The k-occurrence of a word is how often it is among the k nearest of all other words. Its skewness over the vocabulary
says how unevenly this falls: about 0 where nothing is a hub, above 1 where some words are (Radovanović et al. 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.labels.class_words import Vocabulary

__all__ = ["Hubness", "hubness", "k_occurrence", "skewness"]

NEIGHBOURS = 10
_CHUNK = 512


@dataclass(frozen=True)
class Hubness:
    """The 10-occurrence of each word, (words); its skewness, its greatest value, and the word that has it."""

    counts: NDArray[np.int64]
    skewness: float
    greatest: int
    word: str


def hubness(vocabulary: Vocabulary) -> Hubness:
    """Count over the whole vocabulary (30,000 words: half a minute)."""
    counts = k_occurrence(vocabulary.vectors(vocabulary.words), NEIGHBOURS)
    first = int(counts.argmax())
    return Hubness(counts, skewness(counts), int(counts[first]), vocabulary.words[first])


def k_occurrence(vectors: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """How often each unit row is among the k nearest of the other rows: (n).

    Of rows that are equally near, which ones count is arbitrary.
    """
    count = len(vectors)
    k = min(k, count - 1)
    occurrence = np.zeros(count, dtype=np.int64)
    for start in range(0, count, _CHUNK):
        similarity = vectors[start : start + _CHUNK] @ vectors.T
        similarity[np.arange(len(similarity)), np.arange(start, start + len(similarity))] = -np.inf
        nearest = np.argpartition(similarity, count - k, axis=1)[:, count - k :] if k else np.empty(0, dtype=np.int64)
        occurrence += np.bincount(nearest.ravel(), minlength=count)
    return occurrence


def skewness(counts: NDArray[np.int64]) -> float:
    """The third standardised moment; 0 where all are the same."""
    deviation = counts - counts.mean()
    spread = float(np.sqrt(np.mean(deviation**2)))
    return float(np.mean(deviation**3) / spread**3) if spread else 0.0
