"""Embeds a query as one vector: the normalised weighted mean of its terms' unit vectors.

A phrase in the vocabulary has its own vector; any other has the normalised mean of its words. `content` selects the
terms that count, `phrases` joins words to phrases, and `row_weights` weights the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import CancelledTerms, UnknownWords
from model.text.content import drop_carriers, drop_function_words
from model.text.phrases import join_phrases, rows_of, split_tokens
from model.text.query import Term
from model.text.vocabulary import Vocabulary

# Opposite terms leave only rounding errors; a sum shorter than this has no direction.
MIN_LENGTH = 1e-3
# Each unknown word costs a search of the whole vocabulary; a query with more of them is probably pasted text.
MAX_SUGGESTED = 5


@dataclass(frozen=True)
class UnderstoodTerm:
    """A term as it was written, and the vocabulary entries that represent it."""

    text: str
    words: tuple[str, ...]
    weight: float


@dataclass(frozen=True)
class UnknownWord:
    """A word that is not in the vocabulary, and similar words that are."""

    word: str
    suggestions: tuple[str, ...]


@dataclass(frozen=True)
class TextVector:
    """A query's vector, float32 (dimension) of unit length, and how its words were understood.

    `length` is the length of the weighted sum of the terms before normalisation.
    """

    vector: NDArray[np.float32]
    understood: tuple[UnderstoodTerm, ...]
    unknown: tuple[UnknownWord, ...]
    length: float


@dataclass(frozen=True)
class _KnownTerm:
    """The rows and the weight of a term that the vocabulary knows."""

    rows: tuple[int, ...]
    weight: float


def embed_terms(terms: Sequence[Term], vocabulary: Vocabulary, *, suggest: bool = True) -> TextVector:
    """Return the vector of a query. The order of its terms matters only where it makes a phrase.

    `suggest`: search for words similar to the unknown ones; each costs a search of the whole vocabulary.

    Raises:
        UnknownWords: the vocabulary has none of the query's words.
        CancelledTerms: its terms cancel each other out.
        QueryTooLong: see `split_tokens`.
    """
    known: list[_KnownTerm] = []
    understood: list[UnderstoodTerm] = []
    unknown: list[UnknownWord] = []
    meant = drop_carriers(split_tokens(terms, vocabulary))
    for term in drop_function_words(join_phrases(meant, vocabulary)):
        rows, missing = rows_of(term.text, vocabulary)
        for word in missing:
            near = vocabulary.suggest(word) if suggest and len(unknown) < MAX_SUGGESTED else ()
            unknown.append(UnknownWord(word, near))
        if rows:
            known.append(_KnownTerm(tuple(sorted(rows)), term.weight))
            understood.append(
                UnderstoodTerm(term.text, tuple(vocabulary.table.words[row] for row in rows), term.weight)
            )
    if not known:
        raise UnknownWords({each.word: each.suggestions for each in unknown})
    vector, length = _mean(known, vocabulary)
    return TextVector(vector, tuple(understood), tuple(unknown), length)


def _mean(known: Sequence[_KnownTerm], vocabulary: Vocabulary) -> tuple[NDArray[np.float32], float]:
    """Return the weighted mean at unit length, and the length of the weighted sum.

    Terms are summed in a fixed order, whatever their order in the query, and relative to the largest weight, so that
    no weight overflows. For a query of one word the length is its weight, whatever the weight of its row.
    """
    largest = max(abs(term.weight) for term in known)
    heaviest = max(float(vocabulary.weights[row]) for term in known for row in term.rows)
    total = np.zeros(vocabulary.table.vectors.shape[1], np.float64)
    for term in sorted(known, key=lambda each: (each.rows, each.weight)):
        weights = vocabulary.weights[list(term.rows)].astype(np.float64) / heaviest
        sum_ = weights @ vocabulary.table.vectors[list(term.rows)].astype(np.float64)
        total += term.weight / largest * float(weights.mean()) * _unit(sum_)
    length = float(np.linalg.norm(total))
    if length < MIN_LENGTH:
        raise CancelledTerms
    return (total / length).astype(np.float32), length * largest


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
