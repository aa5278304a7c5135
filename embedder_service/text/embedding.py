"""Terms → one vector: the normalised weighted mean of the terms' unit vectors.

A phrase that the vocabulary has is one vector, any other the normalised mean of its words. Words beside each other that
make a phrase of the vocabulary are that phrase (`golden retriever` needs no quotes), if their weights are equal; they
are never a word without spaces, which large vocabularies have for `a man` (aman) and `in a` (ina).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedder_service.errors import CancelledTerms, UnknownWords
from embedder_service.text.query import Term
from embedder_service.text.vocabulary import Vocabulary

__all__ = ["TextVector", "UnderstoodTerm", "UnknownWord", "embed_terms", "join_phrases"]

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
    """A query's vector, float32 (dimension) of unit length, and how its words were understood."""

    vector: NDArray[np.float32]
    understood: tuple[UnderstoodTerm, ...]
    unknown: tuple[UnknownWord, ...]


def embed_terms(terms: Sequence[Term], vocabulary: Vocabulary, *, suggest: bool = True) -> TextVector:
    """Returns the vector of a query.

    ``suggest``: look for words near to those that are unknown; each costs a search of the whole vocabulary.

    Raises:
        UnknownWords: the vocabulary has none of its words.
        CancelledTerms: its terms cancel each other out.
    """
    total = np.zeros(vocabulary.table.vectors.shape[1], np.float32)
    understood: list[UnderstoodTerm] = []
    unknown: list[UnknownWord] = []
    for term in join_phrases(terms, vocabulary):
        rows, missing = _rows(term.text, vocabulary)
        for word in missing:
            near = vocabulary.suggest(word) if suggest and len(unknown) < SUGGESTED_FOR else ()
            unknown.append(UnknownWord(word, near))
        if rows:
            total += term.weight * _unit(vocabulary.table.vectors[rows].astype(np.float32).sum(axis=0))
            words = tuple(vocabulary.table.words[row] for row in rows)
            understood.append(UnderstoodTerm(term.text, words, term.weight))
    if not understood:
        raise UnknownWords({each.word: each.suggestions for each in unknown})
    length = float(np.linalg.norm(total))
    if length < SHORTEST * max(abs(term.weight) for term in understood):
        raise CancelledTerms
    return TextVector(total / np.float32(length), tuple(understood), tuple(unknown))


def join_phrases(terms: Sequence[Term], vocabulary: Vocabulary) -> list[Term]:
    """Joins neighbours that make a phrase of the vocabulary, the longest first."""
    joined: list[Term] = []
    start = 0
    while start < len(terms):
        first = terms[start]
        count = 1
        for length in range(min(vocabulary.longest_phrase, len(terms) - start), 1, -1):
            run = terms[start : start + length]
            if any(term.quoted or " " in term.text or term.weight != first.weight for term in run):
                continue
            if vocabulary.has_phrase(" ".join(term.text for term in run), length):
                count = length
                break
        joined.append(
            first if count == 1 else Term(" ".join(each.text for each in terms[start : start + count]), first.weight)
        )
        start += count
    return joined


def _rows(text: str, vocabulary: Vocabulary) -> tuple[list[int], list[str]]:
    """Returns the rows that stand for a term, and its words that are unknown."""
    whole = vocabulary.find(text)
    if whole is not None:
        return [whole], []
    rows, missing = [], []
    for word in text.split() if " " in text else text.replace("-", " ").split() or [text]:
        row = vocabulary.find(word)
        if row is None:
            missing.append(word)
        else:
            rows.append(row)
    return (rows, missing) if " " in text or (rows and not missing) else ([], [text])


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector
