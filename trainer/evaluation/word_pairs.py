"""Whether words that people find alike lie near to each other: Spearman's rank correlation over graded pairs.

A file of pairs has a word, a word and a grade on each line, separated by tabs; lines that begin with "#" are read over.
That is how WordSim-353 (Finkelstein et al. 2002) and SimLex-999 (Hill et al. 2015) are distributed. The pairs that come
with this package are sixty of its authors' own, graded by them from 0 to 10: enough to see a broken space, too few and
too much of one mind to compare spaces by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.errors import EvaluationImpossible
from trainer.labels.class_words import Vocabulary

__all__ = ["OWN_PAIRS", "PairCorrelation", "WordPair", "correlate", "nearest_words", "read_word_pairs", "spearman"]

OWN_PAIRS = Path(__file__).with_name("word_pairs.tsv")


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
        EvaluationImpossible: there is no such file, or a line is not two words and a number.
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
    """How well the cosines of pairs follow their grades; nan of fewer than three known pairs."""
    known = [pair for pair in pairs if pair.one in vocabulary and pair.other in vocabulary]
    if len(known) < 3:
        return PairCorrelation(name, float("nan"), len(known), len(pairs))
    ones, others = (vocabulary.vectors(words) for words in zip(*((p.one, p.other) for p in known), strict=True))
    cosine = np.einsum("nd,nd->n", ones, others)
    grades = np.array([pair.grade for pair in known])
    return PairCorrelation(name, spearman(cosine, grades), len(known), len(pairs))


def spearman(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Spearman's ρ: the correlation of the ranks, equal values sharing their mean rank; nan without any spread."""
    ranks, other_ranks = _ranks(one), _ranks(other)
    if np.ptp(ranks) == 0 or np.ptp(other_ranks) == 0:
        return float("nan")
    return float(np.corrcoef(ranks, other_ranks)[0, 1])


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (counts.cumsum() - (counts - 1) / 2)[place]
    return ranks


def nearest_words(word: str, vocabulary: Vocabulary, k: int = 10) -> tuple[tuple[str, float], ...]:
    """The k words nearest to a word and their cosines, nearest first; empty if the word is not known."""
    if word not in vocabulary:
        return ()
    cosine = vocabulary.vectors(vocabulary.words) @ vocabulary.vectors([word])[0]
    nearest = [place for place in np.argsort(-cosine, kind="stable") if vocabulary.words[place] != word][:k]
    return tuple((vocabulary.words[place], float(cosine[place])) for place in nearest)
