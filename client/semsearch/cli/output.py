"""The command's output: tables for people, JSON for machines. Everything but results goes to stderr."""

from __future__ import annotations

import dataclasses
import enum
import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from semsearch.cli.harmless import harmless, harmless_json
from semsearch.errors import SemsearchError
from semsearch.values import Image, UnderstoodTerm, UnknownWord

# Attributes that locate a file. Only the path is shown; the others repeat it.
_PLACE = frozenset({"path", "paths", "roots", "name", "folder", "modified"})
_UNBOUNDED = 1_000_000
# Widths in terminal columns: the padding between a table's columns, and the least that keeps long words readable.
_PADDING = 3
_LEAST_WIDTH = 16
# A terminal shows this many characters of an id that is a SHA-256; every command accepts them for the full id.
_SHORT_ID = 12
_SHA256 = re.compile(r"[0-9a-f]{64}")
# The server's messages name RPCs, and the client's its classes; a user at a terminal needs commands and options.
_COMMANDS = {
    'Client("host:port")': "--server or SEMSEARCH_CLIENT_SERVER",
    'IndexOperations("host:port")': "--index-address or SEMSEARCH_CLIENT_INDEX_ADDRESS",
    "ListBackups": "`semsearch backup list`",
    "ListCollections": "`semsearch collections list`",
    "ListIndexes": "`semsearch index list`",
    "ListModels": "`semsearch model list`",
    "PruneBackups": "`semsearch backup prune`",
    "PullModel": "`semsearch model pull`",
}
_CALL = re.compile("|".join(map(re.escape, _COMMANDS)))


class Output:
    """Prints a command's results and messages."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.results = Console(highlight=False)
        self.messages = Console(stderr=True, highlight=False)
        if not self.results.is_terminal:  # files and programs accept lines of any length
            self.results.width = _UNBOUNDED

    def document(self, value: object) -> None:
        """Print a result as one JSON document, over several lines."""
        self._write_json(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))

    def line(self, value: object) -> None:
        """Print a result as one line of JSON."""
        self._write_json(json.dumps(value, default=_plain, ensure_ascii=False))
        self.results.file.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table; a column whose name ends in a space is right-aligned.

        Nothing is cut. Long cells take several lines; if a terminal is too narrow even for that, each row becomes a
        block of lines.
        """
        names = [name.rstrip() for name in columns]
        cells = [[harmless(cell) for cell in row] for row in rows]
        widths = [max(map(_least_width, column)) for column in zip(names, *cells, strict=True)]
        if sum(widths) + _PADDING * len(widths) > self.results.width:
            self._print_blocks(names, cells)
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name, width in zip(columns, widths, strict=True):
            is_number = name.endswith(" ")
            table.add_column(
                name.rstrip(),
                justify="right" if is_number else "left",
                overflow="fold",
                no_wrap=width < _LEAST_WIDTH and (is_number or name == "id"),
            )
        for row in cells:
            table.add_row(*map(Text, row))
        self.results.print(table)

    def id_of(self, image: Image) -> str:
        """Return an image's id; on a terminal, only a prefix of one that is a SHA-256."""
        short = self.results.is_terminal and _SHA256.fullmatch(image.id)
        return image.id[:_SHORT_ID] if short else image.id

    def sentence(self, sentence: str) -> None:
        """Print a result that is a sentence, on one line."""
        self.results.print(Text(harmless(sentence)), soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Print a message that is not a result, on one line: a terminal wraps it, a log does not."""
        self.messages.print(Text(harmless(sentence)), soft_wrap=True)

    def note(self, sentence: str) -> None:
        """Print a message unless the output is JSON: a program that parses errors expects only JSON on stderr."""
        if not self.as_json:
            self.say(sentence)

    def fail(self, error: SemsearchError) -> None:
        """Print an error's message and hint."""
        message, hint = (_CALL.sub(lambda call: _COMMANDS[call[0]], text) for text in (error.message, error.hint))
        if self.as_json:
            document = {"reason": error.reason, "message": message, "hint": hint}
            text = json.dumps({"error": document}, ensure_ascii=False)
            self.messages.file.write(harmless_json(text) + "\n")
        else:
            self.say(f"{message} {hint}".rstrip())

    def unknown_words(self, words: Iterable[UnknownWord]) -> None:
        """Print the words that the search ignored, with suggestions."""
        for each in words:
            meant = f" Did you mean {' or '.join(each.suggestions[:3])}?" if each.suggestions else ""
            self.say(f'The word "{each.word}" is not known and did not count.{meant}')

    def _write_json(self, text: str) -> None:
        self.results.file.write(harmless_json(text) + "\n")

    def _print_blocks(self, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        for row in rows:
            lines = [f"{name}: {cell}" for name, cell in zip(names, row, strict=True) if cell]
            self.results.print(Text("\n".join(lines), overflow="fold"), end="\n\n")

    def understood(self, terms: Sequence[UnderstoodTerm], typed: str) -> None:
        """Print how a query was understood, if that differs from what was typed. JSON has it anyway."""
        if not self.as_json and not all(_shows(typed, term) for term in terms):
            self.say(f"understood: {understood_text(terms)}")


def _least_width(cell: str) -> int:
    """Return how many columns a cell needs to keep words whole, except long ones such as paths."""
    return min(max(map(cell_len, cell.split()), default=0), _LEAST_WIDTH)


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
    """Return an image's path, or its id if it has none."""
    path = image.attributes.get("path")
    return path if isinstance(path, str) else image.id


def attributes_of(image: Image) -> str:
    """Return an image's attributes on one line, without those that locate its file."""
    own = sorted((key, value) for key, value in image.attributes.items() if key not in _PLACE)
    return " ".join(f"{key}={_short(value)}" for key, value in own)


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
    """Return a number with its noun, which gets the ending `plural` unless the number is one."""
    return f"{number:,} {noun}{'' if number == 1 else plural}"
