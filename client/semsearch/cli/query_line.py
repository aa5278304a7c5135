"""Parses a query from the arguments of a command: `dog + ./beach.jpg - fruit 2:sofa`.

- A lone `+` or `-` is the sign of the next argument; an argument may also begin with its own sign (`-dog`, `-./a.jpg`).
  `NOT` and `without` negate an image too.
- `2:sofa` has double weight, as `sofa^2` does. The number may precede words and images.
- An argument is an image if it begins like a path (`./`, `../`, `/`, `~/`), ends like an image file (`beach.jpg`), or
  is `id:` and the id of a stored image, or a prefix of one.
- Everything else is words in the server's query language: quoted phrases, `-dog`, `beach^0.5`, `dog NOT cat`.

An error carries the number of the argument at fault, which is printed with a mark below it.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len

from semsearch.cli.harmless import harmless
from semsearch.folders.file_kinds import FileKind, kind_of
from semsearch.values import Term

NEGATIVE_SIGNS = ("-", "!", "–", "—", "−", "‐", "‑")
STORED = "id:"
_SIGNS = {"+": "", "-": "-", "−": "-"}
_WEIGHED = re.compile(r"(?P<sign>[-+−–—!]?)(?:(?P<weight>\d+(?:[.,]\d+)?|[.,]\d+):)?(?P<rest>.*)", re.DOTALL)
_PATH = re.compile(r"(?:\.{1,2}|~)[/\\]|[/\\].|[A-Za-z]:[/\\]", re.DOTALL)
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_PHRASE = re.compile(r'(-?)([^"]*\s[^"]*?)((?:\^[\d.]+)?)')


class QueryError(Exception):
    """A query cannot be parsed; `place` is the number of the argument at fault, or None."""

    def __init__(self, problem: str, place: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place


@dataclass(frozen=True)
class Picture:
    """An image of a query: a file, or a stored image's id or its prefix (`path` is then None).

    `place` is None for an image from an option.
    """

    path: Path | None
    image_id: str
    weight: float = 1.0
    place: int | None = None


@dataclass(frozen=True)
class QueryLine:
    """A query: its images, and its words as arguments in the server's query language, each with its argument number."""

    arguments: tuple[str, ...]
    pictures: tuple[Picture, ...]
    words: tuple[tuple[int, str], ...]

    @property
    def text(self) -> str:
        """Return the words as a query in the server's language.

        A single argument is the query itself. Among several, an argument with a space was quoted and is a phrase.
        """
        words = [word for _, word in self.words]
        if words == list(self.arguments) and len(words) == 1:
            return words[0]
        return " ".join(map(_quoted, words))

    def terms(self) -> list[tuple[int, Term]]:
        """Return the words as terms, with their places: `-dog`, `!dog` and `NOT dog` weigh −1, `beach^0.5` 0.5.

        Raises:
            QueryError: a weight is not a number.
        """
        terms: list[tuple[int, Term]] = []
        negated = False
        for place, word in self.words:
            if _is_negation(word):
                negated = True
                continue
            text, _, weight = word.partition("^")
            negative = negated or text.startswith(NEGATIVE_SIGNS)
            size = _number(weight, place) if weight else 1.0
            terms.append((place, Term(text[text.startswith(NEGATIVE_SIGNS) :], -size if negative else size)))
            negated = False
        return terms


def marked(arguments: Sequence[str], places: Collection[int]) -> list[str]:
    """Return the arguments as a line, and a line of marks below some: the last lines of an error message."""
    if not places:
        return []
    shown = [harmless(shlex.quote(each) if re.search(r"\s", each) or not each else each) for each in arguments]
    marks = [("^" if place in places else " ") * cell_len(each) for place, each in enumerate(shown)]
    return ["  " + " ".join(shown), "  " + " ".join(marks).rstrip()]


def read_query(arguments: Sequence[str]) -> QueryLine:
    """Parse a query.

    Raises:
        QueryError: a sign or a weight has no word or image, or an image does not exist.
    """
    pictures: list[Picture] = []
    words: list[tuple[int, str]] = []
    sign: str | None = None
    for place, argument in enumerate(arguments):
        if argument in _SIGNS:
            if sign is not None:
                raise QueryError(f'"{argument}" follows another sign. Write one sign before each word or image.', place)
            if place == len(arguments) - 1:
                raise QueryError(f'"{argument}" must be followed by a word or an image.', place)
            sign = _SIGNS[argument]
            continue
        found = _WEIGHED.fullmatch(argument)
        assert found is not None  # noqa: S101 — each part of the pattern may be empty
        own, weight, rest = _parts(argument, found)
        if sign is not None and own:
            raise QueryError(f'"{argument}" already has a sign. Write one sign before each word or image.', place)
        size = _number(weight, place) if weight else 1.0
        if weight and not rest:
            raise QueryError(f'"{argument}" is a weight without a word or an image: write {argument}sofa.', place)
        negative = own not in ("", "+") or sign == "-"
        if _is_picture(rest):
            if words and _is_negation(words[-1][1]):
                negative = True
                words.pop()
            pictures.append(_picture(rest, -size if negative else size, place))
        elif weight or sign is not None or own == "+":
            words.append((place, _word(rest, "-" if negative else "", weight, place)))
        else:
            words.append((place, argument))
        sign = None
    return QueryLine(tuple(arguments), tuple(pictures), tuple(words))


def _parts(argument: str, found: re.Match[str]) -> tuple[str, str, str]:
    """Return the sign, the weight and the rest of an argument; `16:9` has no weight and is all rest."""
    sign, weight, rest = found["sign"], found["weight"] or "", found["rest"]
    if weight and rest[:1].isdigit() and not _is_picture(rest):
        return sign, "", argument.removeprefix(sign)
    return sign, weight, rest


def _word(text: str, sign: str, weight: str, place: int) -> str:
    if weight and "^" in text:
        raise QueryError(f'"{text}" has two weights, one before it and one after it. Leave one out.', place)
    if '"' in text and not re.fullmatch(r'"[^"]*"(?:\^.*)?', text):
        text = f"({text})"
    return f"{sign}{text}^{weight.replace(',', '.')}" if weight else f"{sign}{text}"


def _quoted(word: str) -> str:
    found = _PHRASE.fullmatch(word)
    return f'{found[1]}"{found[2]}"{found[3]}' if found else word


def _is_negation(word: str) -> bool:
    return word == "NOT" or word.casefold() == "without"


def _number(text: str, place: int) -> float:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise QueryError(f'"{text}" is not a weight: write a number such as 0.5 or 2.', place)
    if number == 0:
        raise QueryError("A weight of 0 has no effect: leave this out.", place)
    return number


def _is_picture(text: str) -> bool:
    return (
        text.startswith(STORED)
        or _PATH.match(text) is not None
        or _ADDRESS.match(text) is not None
        or kind_of(text) is FileKind.IMAGE
    )


def _picture(text: str, weight: float, place: int) -> Picture:
    if _ADDRESS.match(text):
        raise QueryError("Images are not fetched from addresses. Download it, and write its path.", place)
    if text.startswith(STORED):
        image_id = text.removeprefix(STORED)
        if not image_id:
            raise QueryError(f'"{STORED}" must be followed by the id of a stored image: {STORED}3f9a…', place)
        return Picture(None, image_id, weight, place)
    path = os.path.expanduser(text)  # noqa: PTH111 — pathlib raises for unknown users, and for names that are too long
    if not os.path.exists(path):  # noqa: PTH110
        raise QueryError(f"There is no file {text}.", place)
    if os.path.isdir(path):  # noqa: PTH112
        raise QueryError(f"{text} is a folder; write the path of an image file.", place)
    return Picture(Path(path), "", weight, place)
