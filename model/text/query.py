"""Reads a query as people type it: `cat sofa` · `"sports car"` · `-dog` · `beach^0.5` · `dog NOT cat`.

- Quotes of any kind make a phrase; one that is not closed goes to the end.
- A minus or an exclamation mark at the front of a word, or NOT in capitals before it, steers away from it. So does
  `without`, from all the words up to the next that only joins words: `portrait without red hat on a sofa`.
- `^` and a positive number say how much a word counts.
- A sign or a weight at a bracket is about all that is in it.
- A dash with space on either side is punctuation, but a minus beside a plus: `king - man + woman`.
- OR and AND in capitals only part words: several words ask for what is near to each of them as it is.

What is no word, number or sign of this language is passed over, as people's punctuation is. Which words count, and
which belong together, `content` and `phrases` say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite

from model.errors import EmptyQuery, InvalidWeight, QueryTooLong
from model.text.characters import normalize
from model.text.function_words import FUNCTION_WORDS

__all__ = ["MAX_CHARACTERS", "MAX_TERMS", "MAX_WEIGHT", "Term", "check_terms", "listed_term", "parse"]

MAX_CHARACTERS = 2_000
MAX_TERMS = 100
MAX_WEIGHT = 1_000_000.0
_TOKEN = re.compile(
    r"""
    (?P<sign>(?<![^\s(\[{<,;|/])[-!]+)?             # at the beginning of a word, not the hyphen inside one
    (?: "(?P<double>[^"]*)"?
      | (?<!\w)'(?P<single>(?:[^'"]|(?<=\w)'(?=\w))+)'(?!\w)
      | (?P<open>[(\[{<])
      | (?P<close>[)\]}>])
      | (?P<word>[^\s"^,;()\[\]{}<>]+)
      | (?P<mark>[,;])
    )
    (?: \^ (?P<weight>\d+,\d+|[^\s",;()\[\]{}<>]*) )?
    """,
    re.VERBOSE,
)
_PLUS, _MINUS = re.compile(r"\s\+\s"), re.compile(r"\s-\s+")
_LETTER = re.compile(r"[^\W_]")
_NUMBER = re.compile(r"\d+(?:[.,]\d*)?|\.\d+")
_NOT, _WITHOUT, _SEPARATORS = "NOT", "without", frozenset({"OR", "AND"})


@dataclass(frozen=True)
class Term:
    """A word or a phrase and its weight; negative steers away.

    `quoted` text is taken as it stands. A `weighted` term was given a weight, so it is meant. A term that is `apart`
    was parted from the one before by more than space, so that the two make no phrase. One that `reaches` is joined with
    the words behind it where they make a phrase, though these have no sign of their own.
    """

    text: str
    weight: float = 1.0
    quoted: bool = False
    weighted: bool = False
    apart: bool = False
    reaches: bool = False

    @property
    def is_plain(self) -> bool:
        """Return whether it is a word without quotes, sign or weight."""
        return not self.quoted and not self.weighted and self.weight > 0 and " " not in self.text

    @property
    def is_function_word(self) -> bool:
        """Return whether it only joins other words, as far as its writer did not say that it counts."""
        return not self.quoted and not self.weighted and self.text.casefold() in FUNCTION_WORDS


def parse(query: str) -> tuple[Term, ...]:
    """Return the terms of a query, in the order in which they stand.

    Raises:
        EmptyQuery: there is no word in it.
        QueryTooLong: it has more than MAX_CHARACTERS characters or MAX_TERMS terms.
        InvalidWeight: what follows a `^` is no number that a word can count.
    """
    if len(query) > MAX_CHARACTERS:
        raise QueryTooLong(f"The query has {len(query):,} characters, and {MAX_CHARACTERS:,} are allowed. Shorten it.")
    text = normalize(query)
    if _PLUS.search(text):
        text = _MINUS.sub(" -", text)
    return check_terms(list(_steered(_read(text))))


def listed_term(text: str, weight: float = 1.0) -> Term:
    """Return a term of a list, where signs and weights are not written into the text; any weight but 1 is meant."""
    words = " ".join(normalize(text).split())
    quoted = len(words) > 1 and words[0] == words[-1] and words[0] in "\"'"
    return Term(words.strip("\"'") if quoted else words, weight, quoted=quoted, weighted=weight != 1)


def check_terms(terms: list[Term]) -> tuple[Term, ...]:
    """Return the terms of a query, checked.

    Raises:
        EmptyQuery, QueryTooLong: see `parse`.
        InvalidWeight: a weight is zero, no number, or too large.
    """
    if not any(_LETTER.search(term.text) for term in terms):
        raise EmptyQuery
    if len(terms) > MAX_TERMS:
        raise QueryTooLong(f"The query has {len(terms)} terms, and {MAX_TERMS} are allowed. Shorten it.")
    for term in terms:
        _check_weight(term.text, term.weight)
        if len(term.text) > MAX_CHARACTERS:
            raise QueryTooLong(f"A term has {len(term.text):,} characters, and {MAX_CHARACTERS:,} are allowed.")
    return tuple(terms)


def _read(query: str) -> list[Term]:
    """Return the words and phrases with their signs and weights."""
    terms: list[Term] = []
    groups: list[tuple[int, float]] = []  # of each open bracket: which term it begins with, and its sign
    apart = False
    for match in _TOKEN.finditer(query):
        sign = -1.0 if match["sign"] else 1.0
        if match["open"]:
            groups.append((len(terms), sign))
        elif match["close"]:
            first, sign = groups.pop() if groups else (len(terms), 1.0)
            if sign < 0 or match["weight"] is not None:
                inside = terms[first:]
                weight = _weight(" ".join(each.text for each in inside), match["weight"]) if inside else 1.0
                terms[first:] = [_times(each, sign * weight, match["weight"] is not None) for each in inside]
        elif _LETTER.search(text := _text_of(match)):
            weighted = match["weight"] is not None
            weight = sign * _weight(text, match["weight"])
            terms.append(Term(text, weight, match["word"] is None, weighted, apart))
            apart = False
            continue
        apart = True
    for first, sign in groups:  # a bracket that is not closed goes to the end, as a quote does
        terms[first:] = [_times(each, sign, weighted=False) for each in terms[first:]]
    return terms


def _text_of(match: re.Match[str]) -> str:
    text = next((match[name] for name in ("double", "single", "word") if match[name] is not None), "")
    return " ".join(text.split())


def _times(term: Term, factor: float, weighted: bool) -> Term:
    return replace(term, weight=term.weight * factor, weighted=term.weighted or weighted)


def _steered(terms: list[Term]) -> Iterator[Term]:
    """Yield the terms with NOT and `without` put into the signs of others, and OR and AND into their distance.

    Where there is nothing that they could be about, they are words like any other.
    """
    if not any(_operator(term) is None for term in terms):
        yield from terms
        return
    place, apart = 0, False
    while place < len(terms):
        term = replace(terms[place], apart=terms[place].apart or apart)
        place, apart = place + 1, False
        operator = _operator(term)
        if operator in _SEPARATORS:
            apart = True
        elif operator is None or (about := _object(terms, place)) is None:
            yield term
        else:
            yield from terms[place:about]  # the function words between, as in `without a hat`
            last = _end(terms, about) if operator == _WITHOUT else about + 1
            text = " ".join(each.text for each in terms[about:last])
            meant = terms[about]
            yield replace(
                meant, text=text, weight=-abs(meant.weight), apart=True, reaches=not meant.quoted and not meant.weighted
            )
            place, apart = last, operator == _WITHOUT


def _operator(term: Term) -> str | None:
    if not term.is_plain:
        return None
    if term.text == _NOT or term.text in _SEPARATORS:
        return term.text
    return _WITHOUT if term.text.casefold() == _WITHOUT else None


def _object(terms: list[Term], place: int) -> int | None:
    """Return the place of the first term, from one on, that a NOT before it is about."""
    while place < len(terms) and _operator(terms[place]) is None:
        if not terms[place].is_function_word:
            return place
        place += 1
    return None


def _end(terms: list[Term], first: int) -> int:
    """Return where the words end that go on from one without anything between them."""
    last = first + 1
    while (
        last < len(terms)
        and terms[first].is_plain
        and terms[last].is_plain
        and not terms[last].is_function_word
        and not terms[last].apart
        and _operator(terms[last]) is None
    ):
        last += 1
    return last


def _weight(text: str, written: str | None) -> float:
    if written is None:
        return 1.0
    number = written.rstrip(".!?:*'")
    if _NUMBER.fullmatch(number):
        weight = float(number.replace(",", "."))
    elif number.startswith("-") and _NUMBER.fullmatch(number[1:]):
        raise InvalidWeight(text, f"is {number}, and what follows ^ is never negative. To steer away, write -{text}")
    else:
        what = f'is "{number[:20]}"' if number else "is missing"
        raise InvalidWeight(text, f"{what}: write a number such as 0.5 or 2 after ^, without a space")
    _check_weight(text, weight)
    return weight


def _check_weight(text: str, weight: float) -> None:
    if weight == 0:
        raise InvalidWeight(text, "is 0, with which it would not count: leave the word out")
    if not isfinite(weight):
        raise InvalidWeight(text, f"is {weight}: write a number such as 0.5 or 2")
    if abs(weight) > MAX_WEIGHT:
        raise InvalidWeight(
            text, f"is above {MAX_WEIGHT:,.0f}: weights are compared with each other, so write smaller ones"
        )
