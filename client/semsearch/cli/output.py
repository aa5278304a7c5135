"""What the command prints: tables for people, JSON for machines. Everything but results goes to stderr."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from semsearch.errors import SemsearchError
from semsearch.values import Image, UnderstoodTerm, UnknownWord

# Attributes that say where a file was. The path is shown; the others repeat it.
_PLACE = frozenset({"path", "paths", "roots", "name", "folder", "modified"})
_UNBOUNDED = 1_000_000


class Output:
    """Where a command's results and messages go."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.results = Console(highlight=False)
        self.messages = Console(stderr=True, highlight=False)
        if not self.results.is_terminal:  # files and programs take lines of any length
            self.results.width = _UNBOUNDED

    def document(self, value: object) -> None:
        """Print a result as one JSON document, over several lines."""
        self.results.file.write(json.dumps(value, default=_plain, indent=2, ensure_ascii=False) + "\n")

    def line(self, value: object) -> None:
        """Print a result as one line of JSON."""
        self.results.file.write(json.dumps(value, default=_plain, ensure_ascii=False) + "\n")
        self.results.file.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table; a column whose name ends in a space is flush right.

        A terminal without room for an id cuts it short. Pipes and JSON get the whole id.
        """
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in columns:
            table.add_column(
                name.rstrip(),
                justify="right" if name.endswith(" ") else "left",
                overflow="ellipsis" if name == "id" else "fold",
            )
        for row in rows:
            table.add_row(*map(Text, row))
        self.results.print(table)

    def say(self, sentence: str) -> None:
        """Print a message that is not a result, on one line: a terminal wraps it, and a log should not."""
        self.messages.print(Text(sentence), soft_wrap=True)

    def fail(self, error: SemsearchError) -> None:
        """Print what went wrong and what to do."""
        if self.as_json:
            document = {"reason": error.reason, "message": error.message, "hint": error.hint}
            self.messages.file.write(json.dumps({"error": document}, ensure_ascii=False) + "\n")
        else:
            self.say(f"{error.message} {error.hint}".rstrip())

    def unknown_words(self, words: Iterable[UnknownWord]) -> None:
        """Name the words that did not count, with suggestions."""
        for each in words:
            meant = f" Did you mean {' or '.join(each.suggestions[:3])}?" if each.suggestions else ""
            self.say(f'The word "{each.word}" is not known and did not count.{meant}')

    def understood(self, terms: Sequence[UnderstoodTerm], typed: str) -> None:
        """Say what a query was understood as, where that differs from what was typed. JSON has it anyway."""
        if not self.as_json and not all(_shows(typed, term) for term in terms):
            self.say(f"understood: {understood_text(terms)}")


def understood_text(terms: Sequence[UnderstoodTerm]) -> str:
    """Return the terms of a query on one line: `dog + cat^2 − sports car`."""
    text = ""
    for term in terms:
        sign = "− " if term.weight < 0 else "+ " if text else ""
        size = "" if abs(term.weight) == 1 else f"^{abs(term.weight):g}"
        text += f" {sign}{term.text}{size}"
    return text.strip()


def _shows(typed: str, term: UnderstoodTerm) -> bool:
    """Return whether a typed query contains a term's words, and the minus of a negative one."""
    plain = " ".join(typed.casefold().split())
    text = term.text.casefold()
    return text in plain if term.weight > 0 else f"-{text}" in plain or f'-"{text}"' in plain


def place_of(image: Image) -> str:
    """Return where an image came from, or else its id."""
    path = image.attributes.get("path")
    return path if isinstance(path, str) else image.id


def attributes_of(image: Image) -> str:
    """Return an image's attributes on one line, without those that say where it was."""
    own = {key: value for key, value in image.attributes.items() if key not in _PLACE}
    return " ".join(f"{key}={_short(value)}" for key, value in own.items())


def _short(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(type(value))


def counted(number: int, noun: str, plural: str = "s") -> str:
    """Return a number and its noun, which ends in `plural` unless the number is one."""
    return f"{number:,} {noun}{'' if number == 1 else plural}"
