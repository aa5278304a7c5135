"""The Markdown elements of the generated pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell may be any text, without a line break."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def code(text: str) -> str:
    """Return a text as code; "" stays empty."""
    return f"`{text}`" if text else ""


def prose(text: str) -> str:
    """Return plain text, such as a comment or a help text, as Markdown in which only backticks are markup."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([<>*\[\]\\])", r"\\\1", part) for part in parts)


def one_line(text: str) -> str:
    """Return a text of several lines as one."""
    return " ".join(text.split())


def first_sentence(text: str) -> str:
    """Return the first sentence of a text, on one line."""
    return one_line(text).partition(". ")[0].rstrip(".") + "."


def heading(level: int, text: str, anchor: str) -> str:
    """Return a heading with an anchor of its own."""
    return f"{'#' * level} {text} {{ #{anchor} }}\n"


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")
