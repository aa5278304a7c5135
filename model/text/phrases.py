"""Words as they were typed → the entries of the vocabulary that they are meant to be.

A token with other signs in it is the vocabulary's own entry (24/7), or else its words (`sea/beach`, `#dog`). Neighbours
are joined to a phrase that the vocabulary has (`golden retriever` needs no quotes), never into one solid word: "a dam"
is not "adam". Nor does a function word become the edge of a phrase that does not have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from model.errors import QueryTooLong
from model.text.content import without_carriers
from model.text.function_words import FUNCTION_WORDS
from model.text.query import MAX_TERMS, Term
from model.text.vocabulary import Vocabulary

__all__ = ["Rows", "joined", "rows_of", "taken_apart"]

Rows = tuple[list[int], list[str]]
"""The rows that stand for a term, and its words that the vocabulary does not have."""

_BETWEEN = re.compile(r"((?:[^\w'-]|_)+)")
_CLOSE = frozenset("_+")  # what people put for a space: sports_car


def taken_apart(terms: Sequence[Term], vocabulary: Vocabulary) -> list[Term]:
    """Return the terms with each token that is no entry of the vocabulary as the words in it.

    Raises:
        QueryTooLong: it has more than MAX_TERMS words then.
    """
    words = [word for term in terms for word in _words_of(term, vocabulary)]
    if len(words) > max(MAX_TERMS, len(terms)):
        raise QueryTooLong(f"The query has {len(words):,} words, and {MAX_TERMS} are allowed. Shorten it.")
    return words


def joined(terms: Sequence[Term], vocabulary: Vocabulary) -> list[Term]:
    """Return the terms with neighbours that make a phrase of the vocabulary joined, the longest first."""
    phrases: list[Term] = []
    start = 0
    while start < len(terms):
        run = next(_runs(terms, start, vocabulary), None)
        first = terms[start]
        phrases.append(replace(first, text=" ".join(each.text for each in run)) if run else first)
        start += len(run) if run else 1
    return phrases


def rows_of(text: str, vocabulary: Vocabulary) -> Rows:
    """Return the rows of a word or phrase: its own, or else those of its words, function words left out."""
    whole = vocabulary.find(text)
    if whole is not None:
        return [whole], []
    words = [word for word in (each.strip("'-") for each in _BETWEEN.split(text)[::2]) if word]
    if len(words) > 1:
        rows, missing = _joint([_parts(word, vocabulary) for word in _content(words)])
        return (rows, missing) if rows or " " in text else ([], [text])
    return _parts(words[0] if words else text, vocabulary)


def _words_of(term: Term, vocabulary: Vocabulary) -> Iterator[Term]:
    if term.quoted or vocabulary.has(term.text):
        yield term
        return
    if " " in term.text:  # of a list, where a person may write "a photo of a dog" as one term
        carried = without_carriers([Term(word) for word in term.text.split()])
        yield replace(term, text=" ".join(each.text for each in carried))
        return
    parts = _BETWEEN.split(term.text)
    words = [
        (word, parts[place - 1] if place else "")
        for place in range(0, len(parts), 2)
        if (word := parts[place].strip("'-"))
    ]
    if len(words) > 1 and all(rows_of(word, vocabulary)[0] == [] for word, _ in words):
        yield term
        return
    for number, (word, before) in enumerate(words):
        apart = term.apart if number == 0 else not set(before) <= _CLOSE
        yield replace(term, text=word, apart=apart, reaches=term.reaches and number == len(words) - 1)


def _runs(terms: Sequence[Term], start: int, vocabulary: Vocabulary) -> Iterator[Sequence[Term]]:
    """Yield the runs of terms from one on that make a phrase of the vocabulary, the longest first."""
    first = terms[start]
    for length in range(min(vocabulary.longest_phrase, len(terms) - start), 1, -1):
        run = terms[start : start + length]
        if any(each.quoted or " " in each.text for each in run) or any(each.apart for each in run[1:]):
            continue
        alike = all(each.weight == first.weight for each in run)
        reached = first.reaches and all(each.is_plain for each in run[1:])
        if not (alike or reached):
            continue
        row = vocabulary.find(" ".join(each.text for each in run))
        if row is not None and _keeps_edges(run, vocabulary.table.words[row]):
            yield run


def _keeps_edges(run: Sequence[Term], phrase: str) -> bool:
    """Return whether function words at the edges of a run are the phrase's own, not what an ending was taken for."""
    own = phrase.replace("-", " ").split()
    return all(
        each.text.casefold() not in FUNCTION_WORDS or each.text.casefold() == edge
        for each, edge in ((run[0], own[0]), (run[-1], own[-1]))
    )


def _parts(word: str, vocabulary: Vocabulary) -> Rows:
    """Return the rows of a word, or of the parts between its hyphens where all of them are known."""
    row = vocabulary.find(word)
    if row is not None:
        return [row], []
    rows, missing = _joint([_found(part, vocabulary) for part in _content(word.replace("-", " ").split())])
    return (rows, []) if rows and not missing else ([], [word])


def _found(word: str, vocabulary: Vocabulary) -> Rows:
    row = vocabulary.find(word)
    return ([], [word]) if row is None else ([row], [])


def _content(words: list[str]) -> list[str]:
    return [word for word in words if word.casefold() not in FUNCTION_WORDS] or words


def _joint(parts: Sequence[Rows]) -> Rows:
    return [row for rows, _ in parts for row in rows], [word for _, missing in parts for word in missing]
