"""Terms → one vector: the normalised weighted mean of the terms' unit vectors.

A phrase that the vocabulary has is one vector, any other the normalised mean of its words. Which terms count, `content`
says; what belongs together, `phrases`; how much a word counts by itself, `row_weights`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import CancelledTerms, UnknownWords
from model.text.content import without_carriers, without_function_words
from model.text.phrases import joined, rows_of, taken_apart
from model.text.query import Term
from model.text.vocabulary import Vocabulary

__all__ = ["TextVector", "UnderstoodTerm", "UnknownWord", "embed_terms"]

# Opposites leave a rest of rounding errors; below this length there is no direction in it.
SHORTEST = 1e-3
# Each unknown word costs a search of the whole vocabulary; who has mistyped more than this pasted a text.
SUGGESTED_FOR = 5


@dataclass(frozen=True)
class UnderstoodTerm:
    """A term as it was written, and the entries of the vocabulary that stand for it."""

    text: str
    words: tuple[str, ...]
    weight: float


@dataclass(frozen=True)
class UnknownWord:
    """A word that the vocabulary does not have, and the nearest that it has."""

    word: str
    suggestions: tuple[str, ...]


@dataclass(frozen=True)
class TextVector:
    """A query's vector, float32 (dimension) of unit length, and how its words were understood.

    `length` is how long the weighted sum of the terms was before it became the vector.
    """

    vector: NDArray[np.float32]
    understood: tuple[UnderstoodTerm, ...]
    unknown: tuple[UnknownWord, ...]
    length: float


@dataclass(frozen=True)
class _Known:
    """A term that counts: its rows, and its weight."""

    rows: tuple[int, ...]
    weight: float


def embed_terms(terms: Sequence[Term], vocabulary: Vocabulary, *, suggest: bool = True) -> TextVector:
    """Return the vector of a query. The order of its terms does not matter, but where it makes a phrase.

    `suggest`: look for words near to those that are unknown; each costs a search of the whole vocabulary.

    Raises:
        UnknownWords: the vocabulary has none of its words.
        CancelledTerms: its terms cancel each other out.
        QueryTooLong: see `taken_apart`.
    """
    known: list[_Known] = []
    understood: list[UnderstoodTerm] = []
    unknown: list[UnknownWord] = []
    meant = without_carriers(taken_apart(terms, vocabulary))
    for term in without_function_words(joined(meant, vocabulary)):
        rows, missing = rows_of(term.text, vocabulary)
        for word in missing:
            near = vocabulary.suggest(word) if suggest and len(unknown) < SUGGESTED_FOR else ()
            unknown.append(UnknownWord(word, near))
        if rows:
            known.append(_Known(tuple(sorted(rows)), term.weight))
            understood.append(
                UnderstoodTerm(term.text, tuple(vocabulary.table.words[row] for row in rows), term.weight)
            )
    if not known:
        raise UnknownWords({each.word: each.suggestions for each in unknown})
    vector, length = _mean(known, vocabulary)
    return TextVector(vector, tuple(understood), tuple(unknown), length)


def _mean(known: Sequence[_Known], vocabulary: Vocabulary) -> tuple[NDArray[np.float32], float]:
    """Return the weighted mean at unit length, and how long the sum was.

    Terms are summed in one order, however they came, and measured by the heaviest, so that no weight overflows. A query
    of one word has the length of its weight, whatever its row weighs.
    """
    largest = max(abs(term.weight) for term in known)
    heaviest = max(float(vocabulary.weights[row]) for term in known for row in term.rows)
    total = np.zeros(vocabulary.table.vectors.shape[1], np.float64)
    for term in sorted(known, key=lambda each: (each.rows, each.weight)):
        weights = vocabulary.weights[list(term.rows)].astype(np.float64) / heaviest
        sum_ = weights @ vocabulary.table.vectors[list(term.rows)].astype(np.float64)
        total += term.weight / largest * float(weights.mean()) * _unit(sum_)
    length = float(np.linalg.norm(total))
    if length < SHORTEST:
        raise CancelledTerms
    return (total / length).astype(np.float32), length * largest


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
