"""Reads a query as people type it: `cat sofa` · `"sports car"` · `-dog` · `beach^0.5` · `-"sports car"^2`.

A minus at the front of a word steers away from it, `^` and a number after it say how much it counts. A quote that is
not closed goes to the end. What is no word, number or sign of this language is passed over, as people's punctuation is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite

from embedder_service.errors import EmptyQuery, InvalidWeight, QueryTooLong

__all__ = ["MAX_CHARACTERS", "MAX_TERMS", "Term", "check_terms", "parse"]

MAX_CHARACTERS = 2_000
MAX_TERMS = 100
_TERM = re.compile(
    r"""
    (?P<minus>(?<![^\s(,;])-)?                  # a minus that begins a word, not the hyphen inside one
    (?: "(?P<phrase>[^"]*)"? | (?P<word>[^\s"^,;()]+) )
    (?: \^ (?P<weight>\d+(?:\.\d*)?|\.\d+) )?
    """,
    re.VERBOSE,
)
_LETTER = re.compile(r"\w")


@dataclass(frozen=True)
class Term:
    """A word or a phrase and its weight; negative steers away. `quoted` phrases are never taken apart for others."""

    text: str
    weight: float = 1.0
    quoted: bool = False


def parse(query: str) -> tuple[Term, ...]:
    """Returns the terms of a query.

    Raises:
        EmptyQuery: there is no word in it.
        QueryTooLong: it has more than MAX_CHARACTERS characters or MAX_TERMS terms.
    """
    if len(query) > MAX_CHARACTERS:
        raise QueryTooLong(f"The query has {len(query):,} characters, and {MAX_CHARACTERS:,} are allowed. Shorten it.")
    terms = []
    for match in _TERM.finditer(query):
        phrase = match["phrase"]
        text = " ".join((match["word"] if phrase is None else phrase).split())
        weight = float(match["weight"] or 1) * (-1 if match["minus"] else 1)
        if _LETTER.search(text) and weight:
            terms.append(Term(text, weight, quoted=phrase is not None))
    return check_terms(terms)


def check_terms(terms: list[Term]) -> tuple[Term, ...]:
    """Returns the terms of a query, checked.

    Raises:
        EmptyQuery, QueryTooLong: see `parse`.
        InvalidWeight: a weight is zero, or no number.
    """
    if not any(_LETTER.search(term.text) for term in terms):
        raise EmptyQuery
    if len(terms) > MAX_TERMS:
        raise QueryTooLong(f"The query has {len(terms)} terms, and {MAX_TERMS} are allowed. Shorten it.")
    for term in terms:
        if not isfinite(term.weight) or term.weight == 0:
            raise InvalidWeight(term.text, term.weight)
        if len(term.text) > MAX_CHARACTERS:
            raise QueryTooLong(f"A term has {len(term.text):,} characters, and {MAX_CHARACTERS:,} are allowed.")
    return tuple(terms)
