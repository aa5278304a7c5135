"""Options that several commands share, and the parsing of words and filters on a command line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typing_extensions import override

from semsearch.cli import addresses
from semsearch.filters import Where, taken
from semsearch.json_values import is_exact
from semsearch.values import Scalar

Server = addresses.Server
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
Collection = Annotated[str, typer.Option("--collection", "-c", help="The collection.", show_default=True)]
MinRelevance = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Leave out less relevant results; 0 keeps everything. Default: the model's own."),
]
Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", "-f", metavar="KEY=VALUE", help="Only images with this attribute; may be repeated."),
]
Taken = Annotated[
    str,
    typer.Option(
        metavar="TIME", help="Only photos taken then: 2024, 2024-06, 2024-06-05, or a range: 2024-06..2024-08, ..2023."
    ),
]

# The shell removes the quotes of `-"sports car"`, so a negative word may contain spaces.
_NEGATIVE_WORD = re.compile(r"""-(?!n\d+$)(?:[^\W\d]\w|["'“]|(?:\.{1,2}|~)?/|[\d.,]+:).*""", re.DOTALL)
_SHIELD = "\N{MINUS SIGN}"


class QueryCommand(TyperCommand):
    """A command whose arguments are a query: `-dog` is a negative word, not a bundle of options.

    So is an image, as in `-./beach.jpg`. A single letter is still parsed as an option; `-- -x` passes it as a word.
    """

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Hide the minus of such words from click; `arguments_of` restores it."""
        return super().parse_args(
            ctx, [_SHIELD + word[1:] if _NEGATIVE_WORD.fullmatch(word) else word for word in args]
        )


def arguments_of(words: Sequence[str] | None) -> list[str]:
    """Return the arguments of a query as the user typed them."""
    return ["-" + word[1:] if word.startswith(_SHIELD) else word for word in words or ()]


def equal_of(filters: Sequence[str] | None) -> dict[str, list[Scalar]]:
    """Return `KEY=VALUE` options as the values that each attribute may have.

    A value that parses as a number, a boolean or null stands for that and for its text. A repeated key accepts both
    values.
    """
    equal: dict[str, list[Scalar]] = {}
    for each in filters or ():
        key, equals, text = each.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{each!r}: write KEY=VALUE.", param_hint="--filter")
        values = equal.setdefault(key, [])
        values.append(text)
        values += _scalar(text)
    return equal


def where_of(equal: Mapping[str, Sequence[Scalar]], taken_then: str = "") -> Where | None:
    """Return the condition that attributes have their values, and that a photo was taken then.

    Raises:
        InvalidRequest: `taken_then` is not a time or a range of times.
    """
    return taken(taken_then) & equal if taken_then else equal


def _scalar(text: str) -> list[Scalar]:
    """Return the number, boolean or null that a text parses as, or an empty list."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if isinstance(value, int) and not is_exact(value):  # no image has it: messages carry doubles
        return []
    return [value] if value is None or (isinstance(value, int | float) and math.isfinite(value)) else []
