"""Options that several commands share, and what words on a command line mean."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typing_extensions import override

from semsearch import suites
from semsearch.cli.output import Output
from semsearch.json_values import is_exact
from semsearch.values import Scalar


def _server_of(ctx: typer.Context, value: str) -> str:
    """Return the address of the gateway: the one that was named, or that of this folder's suite."""
    output = Output("--json" in sys.argv)
    suite = suites.of_this_folder()
    source = ctx.get_parameter_source("server")
    if source and source.name != "DEFAULT":
        if suite.gateway and not suites.same_address(value, suite.gateway):
            output.note(f"This asks {value}; this folder's own suite is at {suite.gateway}.")
        return value
    if suite.gateway:
        return suite.gateway
    if port := os.environ.get("SEMSEARCH_GATEWAY_PORT"):
        return f"127.0.0.1:{port}"
    if suite.is_stopped:
        output.note(f"This folder's own suite does not run (`make run-all` starts it). This asks {value}.")
    return value


Server = Annotated[
    str,
    typer.Option(
        "--server",
        envvar="SEMSEARCH_CLIENT_SERVER",
        callback=_server_of,
        help="Address of the gateway. Without it: that of the suite that runs in this folder, the port"
        " SEMSEARCH_GATEWAY_PORT of this machine, or",
        metavar="HOST:PORT",
    ),
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
_NEGATIVE_WORD = re.compile(r"""-(?!n\d+$)(?:[^\W\d]\w|["'“]|(?:\.{1,2}|~)?/|[\d.,]+:).*""", re.DOTALL)
_SHIELD = "\N{MINUS SIGN}"


class QueryCommand(TyperCommand):
    """A command whose arguments are a query: `-dog` is a word to steer away from, not a bundle of options.

    So is an image, as in `-./beach.jpg`. A word of one letter is still taken for an option; `-- -x` passes it.
    """

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Hide the minus of such words from click; `arguments_of` puts it back."""
        return super().parse_args(
            ctx, [_SHIELD + word[1:] if _NEGATIVE_WORD.fullmatch(word) else word for word in args]
        )


def arguments_of(words: Sequence[str] | None) -> list[str]:
    """Return the arguments of a query as they were typed."""
    return ["-" + word[1:] if word.startswith(_SHIELD) else word for word in words or ()]


def equal_of(filters: Sequence[str] | None) -> dict[str, list[Scalar]]:
    """Return `KEY=VALUE` options as the values that each attribute may have.

    A value that reads as a number, a truth value or null stands for that and for its text. A key that is given twice
    accepts both values.
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


def _scalar(text: str) -> list[Scalar]:
    """Return the number, truth value or null that a text reads as, or nothing."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if isinstance(value, int) and not is_exact(value):  # no image has it: messages carry doubles
        return []
    return [value] if value is None or (isinstance(value, int | float) and math.isfinite(value)) else []
