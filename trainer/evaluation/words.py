"""Measure the words of a space: whether words that people find alike lie near each other, and hubs.

Graded pairs are compared by Spearman's rank correlation. A file of pairs has a word, a word and a grade on each line,
separated by tabs; lines that begin with "#" are skipped. That is how WordSim-353 (Finkelstein et al. 2002) and
SimLex-999 (Hill et al. 2015) are distributed. This package's own sixty pairs were graded by its authors from 0 to 10:
enough to detect a broken space, but too few and too subjective to compare spaces.

Hubs are words among the nearest of many others, which come up for any query. The k-occurrence of a word is how often it
is among the k nearest of all other words. Its skewness over the vocabulary measures the imbalance: about 0 without
hubs, above 1 with some (Radovanović et al. 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.errors import EvaluationImpossible
from trainer.labels.space import Vocabulary

OWN_PAIRS = Path(__file__).with_name("word_pairs.tsv")
NEIGHBOURS = 10
_CHUNK = 256
_GROUP = 64


@dataclass(frozen=True)
class WordPair:
    """Two words and how alike people find them."""

    one: str
    other: str
    grade: float


@dataclass(frozen=True)
class PairCorrelation:
    """A list's name, Spearman's ρ over the pairs whose words are both known, how many those are, and of how many."""

    name: str
    correlation: float
    known: int
    pairs: int


def read_word_pairs(path: Path) -> tuple[WordPair, ...]:
    """Read a file of graded pairs; words in lower case.

    Raises:
        EvaluationImpossible: the file does not exist, or a line is not two words and a number.
    """
    pairs = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                one, other, grade = line.split("\t")[:3]
                pairs.append(WordPair(one.lower(), other.lower(), float(grade)))
    except (OSError, ValueError) as error:
        raise EvaluationImpossible(
            f"{path} gives no graded pairs of words ({error}). Each line should be: word, word, number, between tabs."
        ) from error
    return tuple(pairs)


def correlate(name: str, pairs: Sequence[WordPair], vocabulary: Vocabulary) -> PairCorrelation:
    """Return how well the cosines of pairs follow their grades; nan of fewer than three known pairs."""
    known = [pair for pair in pairs if pair.one in vocabulary and pair.other in vocabulary]
    if len(known) < 3:
        return PairCorrelation(name, float("nan"), len(known), len(pairs))
    ones, others = (vocabulary.vectors(words) for words in zip(*((p.one, p.other) for p in known), strict=True))
    cosine = np.einsum("nd,nd->n", ones, others)
    grades = np.array([pair.grade for pair in known])
    return PairCorrelation(name, spearman(cosine, grades), len(known), len(pairs))


def spearman(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return Spearman's ρ: the correlation of ranks, equal values sharing their mean rank; nan without spread."""
    ranks, other_ranks = _ranks(one), _ranks(other)
    if np.ptp(ranks) == 0 or np.ptp(other_ranks) == 0:
        return float("nan")
    return float(np.corrcoef(ranks, other_ranks)[0, 1])


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (counts.cumsum() - (counts - 1) / 2)[place]
    return ranks


def nearest_words(word: str, vocabulary: Vocabulary, k: int = 10) -> tuple[tuple[str, float], ...]:
    """Return the k words nearest to a word and their cosines, nearest first; empty if the word is not known."""
    if word not in vocabulary:
        return ()
    cosine = vocabulary.vectors(vocabulary.words) @ vocabulary.vectors([word])[0]
    nearest = [place for place in np.argsort(-cosine, kind="stable") if vocabulary.words[place] != word][:k]
    return tuple((vocabulary.words[place], float(cosine[place])) for place in nearest)


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
    """Return how often each unit row is among the k nearest of the other rows: (n).

    Of rows that are equally near, which ones count is arbitrary.
    """
    count = len(vectors)
    k = min(k, count - 1)
    occurrence = np.zeros(count, dtype=np.int64)
    groups = -(-count // _GROUP)
    for start in range(0, count if k else 0, _CHUNK):
        rows = vectors[start : start + _CHUNK]
        similarity = np.full((len(rows), groups * _GROUP), -np.inf, dtype=np.float32)
        np.matmul(rows, vectors.T, out=similarity[:, :count])
        similarity[np.arange(len(rows)), np.arange(start, start + len(rows))] = -np.inf
        occurrence += np.bincount(_greatest(similarity, k).ravel(), minlength=count)
    return occurrence


def _greatest(similarity: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the places of each row's k greatest, (n, k).

    They are in the k groups with the greatest maxima, which are found in a tenth of the time.
    """
    grouped = similarity.reshape(len(similarity), -1, _GROUP)
    groups = _argpartition(grouped.max(axis=2), k)
    within = np.take_along_axis(grouped, groups[:, :, None], axis=1).reshape(len(similarity), -1)
    found = _argpartition(within, k)
    places: NDArray[np.int64] = np.take_along_axis(groups, found // _GROUP, axis=1) * _GROUP + found % _GROUP
    return places


def _argpartition(values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    k = min(k, values.shape[1])
    places: NDArray[np.int64] = np.argpartition(values, values.shape[1] - k, axis=1)[:, values.shape[1] - k :]
    return places


def skewness(counts: NDArray[np.int64]) -> float:
    """Return the third standardised moment; 0 where all are the same."""
    deviation = counts - counts.mean()
    spread = float(np.sqrt(np.mean(deviation**2)))
    return float(np.mean(deviation**3) / spread**3) if spread else 0.0
