"""Decides which terms of a query say what to look for.

Function words do not count beside others, nor do the words that carry a query for pictures: `a photo of a dog`,
`show me a dog` and `dog` are one query. Both count where nothing else is there, in quotes, and with a weight of their
own.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.text.query import Term

__all__ = ["without_carriers", "without_function_words"]

_PICTURES = frozenset(
    {"photo", "photos", "photograph", "photographs", "picture", "pictures", "image", "images"}
    | {"pic", "pics", "snapshot", "snapshots"}
)
_LINKS = frozenset({"of", "with", "showing"})
# Words that ask for what follows them. Function words before them and before a picture's name do not matter.
_ASKING = tuple(
    tuple(each.split())
    for each in (
        "show me", "show us", "give me", "give us", "find me", "find us", "find", "search for", "searching for",
        "look for", "looking for", "want to see", "like to see",
    )
)  # fmt: skip
_POLITE = frozenset({"please", "can"})


def without_carriers(terms: Sequence[Term]) -> Sequence[Term]:
    """Return the terms behind those that only carry the query; all of them where nothing would be left to look for."""
    asked = _after_asking(terms)
    for first in (_after_picture(terms, asked), asked):
        if any(term.weight > 0 and not term.is_function_word for term in terms[first:]):
            return terms[first:]
    return terms


def without_function_words(terms: Sequence[Term]) -> Sequence[Term]:
    """Return the terms that are no function words, or all where there are no others."""
    return [term for term in terms if not term.is_function_word] or terms


def _after_asking(terms: Sequence[Term]) -> int:
    first = 0
    while first < len(terms) and (terms[first].is_function_word or _word(terms[first]) in _POLITE):
        first += 1
    for words in _ASKING:
        if tuple(map(_word, terms[first : first + len(words)])) == words:
            return first + len(words)
    return 0


def _after_picture(terms: Sequence[Term], first: int) -> int:
    place = first
    while place < len(terms) and terms[place].is_function_word:
        place += 1
    named = [_word(term) for term in terms[place : place + 2]]
    return place + 2 if len(named) == 2 and named[0] in _PICTURES and named[1] in _LINKS else first


def _word(term: Term) -> str:
    """Return a plain term's word in lower case; that of any other is meant, and carries nothing."""
    return term.text.casefold() if term.is_plain else ""
