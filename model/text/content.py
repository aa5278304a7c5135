"""Selects the terms of a query that describe what to find.

Function words are ignored beside other words, and so are words that only introduce a query: `a photo of a dog`,
`show me a dog` and `dog` are the same query. Both kinds count if the query has nothing else, in quotes, or with a
weight.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.text.query import Term

_PICTURES = frozenset(
    {"photo", "photos", "photograph", "photographs", "picture", "pictures", "image", "images"}
    | {"pic", "pics", "snapshot", "snapshots"}
)
_LINKS = frozenset({"of", "with", "showing"})
# Words that ask for what follows them. Function words before them and before `photo` are ignored too.
_REQUESTS = tuple(
    tuple(each.split())
    for each in (
        "show me", "show us", "give me", "give us", "find me", "find us", "find", "search for", "searching for",
        "look for", "looking for", "want to see", "like to see",
    )
)  # fmt: skip
_POLITE = frozenset({"please", "can"})


def drop_carriers(terms: Sequence[Term]) -> Sequence[Term]:
    """Return the terms without the ones that only introduce the query; all of them if nothing would be left."""
    start = _after_request(terms)
    for first in (_after_picture(terms, start), start):
        if any(term.weight > 0 and not term.is_function_word for term in terms[first:]):
            return terms[first:]
    return terms


def drop_function_words(terms: Sequence[Term]) -> Sequence[Term]:
    """Return the terms that are not function words, or all terms if there are no others."""
    return [term for term in terms if not term.is_function_word] or terms


def _after_request(terms: Sequence[Term]) -> int:
    first = 0
    while first < len(terms) and (terms[first].is_function_word or _word(terms[first]) in _POLITE):
        first += 1
    for words in _REQUESTS:
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
    """Return a plain term's word in lower case, and "" for other terms, which never only introduce a query."""
    return term.text.casefold() if term.is_plain else ""
