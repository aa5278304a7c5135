"""Maps words as they were typed to vocabulary entries.

A token with other signs in it is a vocabulary entry (24/7), or else the words in it (`sea/beach`, `#dog`). Adjacent
words are joined to a phrase of the vocabulary (`golden retriever` needs no quotes), but never into one solid word:
"a dam" is not "adam". A function word starts or ends a phrase only if the vocabulary's phrase has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from model.errors import QueryTooLong
from model.text.content import drop_carriers
from model.text.function_words import FUNCTION_WORDS
from model.text.query import MAX_TERMS, Term
from model.text.vocabulary import Vocabulary

Rows = tuple[list[int], list[str]]
"""The rows that represent a term, and its words that are not in the vocabulary."""

_BETWEEN = re.compile(r"((?:[^\w'-]|_)+)")
_SPACES = frozenset("_+")  # what people type for a space: sports_car


def split_tokens(terms: Sequence[Term], vocabulary: Vocabulary) -> list[Term]:
    """Return the terms, with each token that is not in the vocabulary replaced by the words in it.

    Raises:
        QueryTooLong: they are then more than MAX_TERMS words.
    """
    words = [word for term in terms for word in _words_of(term, vocabulary)]
    if len(words) > max(MAX_TERMS, len(terms)):
        raise QueryTooLong(f"The query has {len(words):,} words, but at most {MAX_TERMS} are allowed. Shorten it.")
    return words


def join_phrases(terms: Sequence[Term], vocabulary: Vocabulary) -> list[Term]:
    """Return the terms, with adjacent ones joined where they make a phrase of the vocabulary, the longest first."""
    phrases: list[Term] = []
    start = 0
    while start < len(terms):
        run = next(_runs(terms, start, vocabulary), None)
        first = terms[start]
        phrases.append(replace(first, text=" ".join(each.text for each in run)) if run else first)
        start += len(run) if run else 1
    return phrases


def rows_of(text: str, vocabulary: Vocabulary) -> Rows:
    """Return the row of a word or phrase, or else the rows of its words without function words."""
    whole = vocabulary.find(text)
    if whole is not None:
        return [whole], []
    words = [word for word in (each.strip("'-") for each in _BETWEEN.split(text)[::2]) if word]
    if len(words) > 1:
        rows, missing = _concatenate([_parts(word, vocabulary) for word in _content_words(words)])
        return (rows, missing) if rows or " " in text else ([], [text])
    return _parts(words[0] if words else text, vocabulary)


def _words_of(term: Term, vocabulary: Vocabulary) -> Iterator[Term]:
    if term.quoted or vocabulary.has(term.text):
        yield term
        return
    if " " in term.text:  # from a list of terms, where "a photo of a dog" may be one term
        carried = drop_carriers([Term(word) for word in term.text.split()])
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
        separated = term.separated if number == 0 else not set(before) <= _SPACES
        yield replace(term, text=word, separated=separated, extendable=term.extendable and number == len(words) - 1)


def _runs(terms: Sequence[Term], start: int, vocabulary: Vocabulary) -> Iterator[Sequence[Term]]:
    """Yield the runs of terms that begin at `start` and make a phrase of the vocabulary, the longest first."""
    first = terms[start]
    for length in range(min(vocabulary.longest_phrase, len(terms) - start), 1, -1):
        run = terms[start : start + length]
        if any(each.quoted or " " in each.text for each in run) or any(each.separated for each in run[1:]):
            continue
        same_weight = all(each.weight == first.weight for each in run)
        extended = first.extendable and all(each.is_plain for each in run[1:])
        if not (same_weight or extended):
            continue
        row = vocabulary.find(" ".join(each.text for each in run))
        if row is not None and _keeps_edges(run, vocabulary.table.words[row]):
            yield run


def _keeps_edges(run: Sequence[Term], phrase: str) -> bool:
    """Return whether function words at the edges of a run are in the phrase too, and did not match by their ending."""
    own = phrase.replace("-", " ").split()
    return all(
        each.text.casefold() not in FUNCTION_WORDS or each.text.casefold() == edge
        for each, edge in ((run[0], own[0]), (run[-1], own[-1]))
    )


def _parts(word: str, vocabulary: Vocabulary) -> Rows:
    """Return the row of a word, or those of its hyphenated parts if all of them are known."""
    row = vocabulary.find(word)
    if row is not None:
        return [row], []
    rows, missing = _concatenate([_row_of(part, vocabulary) for part in _content_words(word.replace("-", " ").split())])
    return (rows, []) if rows and not missing else ([], [word])


def _row_of(word: str, vocabulary: Vocabulary) -> Rows:
    row = vocabulary.find(word)
    return ([], [word]) if row is None else ([row], [])


def _content_words(words: list[str]) -> list[str]:
    return [word for word in words if word.casefold() not in FUNCTION_WORDS] or words


def _concatenate(parts: Sequence[Rows]) -> Rows:
    return [row for rows, _ in parts for row in rows], [word for _, missing in parts for word in missing]
