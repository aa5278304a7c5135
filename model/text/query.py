"""Parses queries as people type them: `cat sofa` · `"sports car"` · `-dog` · `beach^0.5` · `dog NOT cat`.

- Quotes of any kind make a phrase; an unclosed quote extends to the end.
- A minus or an exclamation mark before a word, or NOT in capitals, steers away from the word. `without` steers away
  from all words up to the next function word: `portrait without red hat on a sofa`.
- `^` and a positive number weight a word.
- A sign or a weight at a bracket applies to everything inside.
- A dash between spaces is punctuation, but a minus if the query also has a plus: `king - man + woman`.
- OR and AND in capitals only separate words, because a query of several words already asks for all of them.

Everything else, such as punctuation, is ignored. `content` selects the words that count, and `phrases` joins them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite

from model.errors import EmptyQuery, InvalidWeight, QueryTooLong, shortened
from model.text.characters import normalize
from model.text.function_words import FUNCTION_WORDS

MAX_CHARACTERS = 2_000
MAX_TERMS = 100
MAX_WEIGHT = 1_000_000.0
_TOKEN = re.compile(
    r"""
    (?P<sign>(?<![^\s(\[{<,;|/])[-!]+)?             # at the start of a word, not a hyphen inside it
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
_TERMS_QUOTED = 30  # in an error about the weight of brackets, which quotes no more than 30 characters
_NOT, _WITHOUT, _SEPARATORS = "NOT", "without", frozenset({"OR", "AND"})


@dataclass(frozen=True)
class Term:
    """A word or a phrase and its weight; a negative weight steers away from it.

    `quoted` text is used literally. A `weighted` term has an explicit weight, so it always counts. A `separated` term
    has more than space before it, so it makes no phrase with the previous term. An `extendable` term may make a phrase
    with the words after it, although these have no sign of their own.
    """

    text: str
    weight: float = 1.0
    quoted: bool = False
    weighted: bool = False
    separated: bool = False
    extendable: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it is a single word without quotes, sign or weight."""
        return not self.quoted and not self.weighted and self.weight > 0 and " " not in self.text

    @property
    def is_function_word(self) -> bool:
        """Whether it is a function word without quotes or weight."""
        return not self.quoted and not self.weighted and self.text.casefold() in FUNCTION_WORDS


def parse(query: str) -> tuple[Term, ...]:
    """Return the terms of a query, in their order.

    Raises:
        EmptyQuery: the query has no words.
        QueryTooLong: it has more than MAX_CHARACTERS characters, as typed or normalised, or MAX_TERMS terms.
        InvalidWeight: a `^` is not followed by a valid weight.
    """
    _check_length(query, "The query has {} characters")
    text = normalize(query)
    _check_length(text, "The query has {} characters once signs such as … and ½ are written out")
    if _PLUS.search(text):
        text = _MINUS.sub(" -", text)
    return check_terms(list(_apply_operators(_tokenize(text))))


def listed_term(text: str, weight: float = 1.0) -> Term:
    """Return a term of a list, whose text has no signs or weights; any `weight` other than 1 counts as explicit."""
    words = " ".join(normalize(text).split())
    quoted = len(words) > 1 and words[0] == words[-1] and words[0] in "\"'"
    return Term(words.strip("\"'") if quoted else words, weight, quoted=quoted, weighted=weight != 1)


def check_terms(terms: list[Term]) -> tuple[Term, ...]:
    """Check the terms of a query, and return them.

    Raises:
        EmptyQuery, QueryTooLong: see `parse`.
        InvalidWeight: a weight is zero, not a number, or too large.
    """
    if not any(_LETTER.search(term.text) for term in terms):
        raise EmptyQuery
    if len(terms) > MAX_TERMS:
        raise QueryTooLong(f"The query has {len(terms)} terms, but at most {MAX_TERMS} are allowed. Shorten it.")
    for term in terms:
        _check_weight(term.text, term.weight)
        _check_length(term.text, "A term has {} characters")
    return tuple(terms)


def _check_length(text: str, problem: str) -> None:
    if len(text) > MAX_CHARACTERS:
        found = problem.format(f"{len(text):,}")
        raise QueryTooLong(f"{found}, but at most {MAX_CHARACTERS:,} are allowed. Shorten it.")


@dataclass
class _Group:
    """The terms after an opening bracket, from the number `first` on; `outer` is the group that it stands in.

    Weights inside are multiplied by `factor`, and are explicit if the group is `weighted`.
    """

    outer: _Group | None
    first: int
    factor: float
    weighted: bool = False


def _tokenize(query: str) -> list[Term]:
    """Return the words and phrases with their signs and weights; this takes time in proportion to the length."""
    terms: list[tuple[Term, _Group]] = []
    group = _Group(None, 0, 1.0)  # the innermost that is open
    groups = [group]
    separated = False
    for match in _TOKEN.finditer(query):
        sign = -1.0 if match["sign"] else 1.0
        weighted = match["weight"] is not None
        if match["open"]:
            group = _Group(group, len(terms), sign)
            groups.append(group)
        elif match["close"]:
            if group.outer is not None:  # otherwise it closes nothing
                inside = terms[group.first : group.first + _TERMS_QUOTED]
                if inside and weighted:
                    group.factor *= _weight(" ".join(term.text for term, _ in inside), match["weight"])
                    group.weighted = True
                group = group.outer
        elif _LETTER.search(text := _text_of(match)):
            weight = sign * _weight(text, match["weight"])
            terms.append((Term(text, weight, match["word"] is None, weighted, separated), group))
            separated = False
            continue
        separated = True
    for each in groups:  # each after the one around it
        if each.outer is not None:
            each.factor *= each.outer.factor
            each.weighted |= each.outer.weighted
    return [
        replace(term, weight=term.weight * each.factor, weighted=term.weighted or each.weighted) for term, each in terms
    ]


def _text_of(match: re.Match[str]) -> str:
    text = next((match[name] for name in ("double", "single", "word") if match[name] is not None), "")
    return " ".join(text.split())


def _apply_operators(terms: list[Term]) -> Iterator[Term]:
    """Yield the terms without operators: NOT and `without` become signs, OR and AND separations.

    An operator without an operand is an ordinary word.
    """
    if not any(_operator(term) is None for term in terms):
        yield from terms
        return
    place, separated = 0, False
    while place < len(terms):
        term = replace(terms[place], separated=terms[place].separated or separated)
        place, separated = place + 1, False
        operator = _operator(term)
        if operator in _SEPARATORS:
            separated = True
        elif operator is None or (operand := _operand(terms, place)) is None:
            yield term
        else:
            yield from terms[place:operand]  # the function words between, as in `without a hat`
            last = _end_of_run(terms, operand) if operator == _WITHOUT else operand + 1
            text = " ".join(each.text for each in terms[operand:last])
            meant = terms[operand]
            yield replace(
                meant,
                text=text,
                weight=-abs(meant.weight),
                separated=True,
                extendable=not meant.quoted and not meant.weighted,
            )
            place, separated = last, operator == _WITHOUT


def _operator(term: Term) -> str | None:
    if not term.is_plain:
        return None
    if term.text == _NOT or term.text in _SEPARATORS:
        return term.text
    return _WITHOUT if term.text.casefold() == _WITHOUT else None


def _operand(terms: list[Term], place: int) -> int | None:
    """Return the index of the term that an operator before `place` applies to, or None."""
    while place < len(terms) and _operator(terms[place]) is None:
        if not terms[place].is_function_word:
            return place
        place += 1
    return None


def _end_of_run(terms: list[Term], first: int) -> int:
    """Return the end of the run of plain words that begins at `first`."""
    last = first + 1
    while (
        last < len(terms)
        and terms[first].is_plain
        and terms[last].is_plain
        and not terms[last].is_function_word
        and not terms[last].separated
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
        negative = f"is {shortened(number)}, but a weight after ^ cannot be negative"
        raise InvalidWeight(text, f"{negative}. To steer away, write -{shortened(text)}")
    else:
        what = f'is "{number[:20]}"' if number else "is missing"
        raise InvalidWeight(text, f"{what}: write a number such as 0.5 or 2 after ^, without a space")
    _check_weight(text, weight)
    return weight


def _check_weight(text: str, weight: float) -> None:
    if weight == 0:
        raise InvalidWeight(text, "is 0, so it would not count: leave the word out")
    if not isfinite(weight):
        raise InvalidWeight(text, f"is {weight}: write a number such as 0.5 or 2")
    if abs(weight) > MAX_WEIGHT:
        raise InvalidWeight(
            text, f"is above {MAX_WEIGHT:,.0f}: weights are compared with each other, so write smaller ones"
        )
