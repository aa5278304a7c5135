"""Options that several commands share, and what words on a command line mean."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typing_extensions import override

from semsearch.values import JsonValue, Term

Server = Annotated[
    str, typer.Option(envvar="SEMSEARCH_CLIENT_SERVER", help="Address of the gateway.", metavar="HOST:PORT")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
Collection = Annotated[str, typer.Option("--collection", "-c", help="The collection.", show_default=True)]
MinRelevance = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Leave out what is less relevant; 0 keeps everything. Default: the model's own."),
]
Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", "-f", metavar="KEY=VALUE", help="Only images with this attribute; may be repeated."),
]

# The shell has taken away the quotes of `-"sports car"`, so a word to steer away from may hold spaces.
_NEGATIVE_WORD = re.compile(r"-(?!n\d+$)[^\W\d]\w.*", re.DOTALL)
_SHIELD = "\N{MINUS SIGN}"
_NEGATIVE_SIGNS = ("-", "!", "–", "—", "−", "‐", "‑")


class QueryCommand(TyperCommand):
    """A command whose arguments are a query: `-dog` is a word to steer away from, not a bundle of options.

    A word of one letter is still taken for an option; `-- -x` passes it.
    """

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Hide the minus of such words from click; `query_of` and `terms_of` put it back."""
        return super().parse_args(
            ctx, [_SHIELD + word[1:] if _NEGATIVE_WORD.fullmatch(word) else word for word in args]
        )


def _unshielded(words: Sequence[str]) -> list[str]:
    return ["-" + word[1:] if word.startswith(_SHIELD) else word for word in words]


def query_of(words: Sequence[str]) -> str:
    """Return the words of a command line as a query.

    A single argument is the query itself. Among several, one with a space was quoted and is a phrase.
    """
    arguments = _unshielded(words)
    if len(arguments) == 1:
        return arguments[0]
    return " ".join(re.sub(r'^(-?)([^"]*\s[^"]*?)((?:\^[\d.]+)?)$', r'\1"\2"\3', word) for word in arguments)


def terms_of(words: Sequence[str]) -> list[Term]:
    """Return the words of a command line as terms: `-dog`, `!dog` and `NOT dog` weigh −1, `beach^0.5` a half."""
    terms: list[Term] = []
    steering_away = False
    for word in _unshielded(words):
        if word == "NOT" or word.casefold() == "without":
            steering_away = True
            continue
        text, _, weight = word.partition("^")
        try:
            size = float(weight) if weight else 1.0
        except ValueError:
            size = math.nan
        if not math.isfinite(size):
            raise typer.BadParameter(f"{word!r}: what follows ^ must be a number.")
        negative = steering_away or text.startswith(_NEGATIVE_SIGNS)
        terms.append(Term(text[text.startswith(_NEGATIVE_SIGNS) :], -size if negative else size))
        steering_away = False
    return terms


def equal_of(filters: Sequence[str] | None) -> dict[str, list[JsonValue]]:
    """Return `KEY=VALUE` options as the values that each attribute may have.

    A value that reads as a number, a truth value or null stands for that and for its text. A key that is given twice
    accepts both values.
    """
    equal: dict[str, list[JsonValue]] = {}
    for each in filters or ():
        key, equals, text = each.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{each!r}: write KEY=VALUE.", param_hint="--filter")
        values = equal.setdefault(key, [])
        values.append(text)
        values += _scalar(text)
    return equal


def _scalar(text: str) -> list[JsonValue]:
    """Return the number, truth value or null that a text reads as, or nothing."""
    try:
        value: Any = json.loads(text)
        if value is None or isinstance(value, bool) or (isinstance(value, int | float) and math.isfinite(value)):
            return [value]
    except (ValueError, OverflowError):  # not JSON, or an integer too large for a double, which is what messages carry
        pass
    return []
