"""Prints errors about a query, with a mark below the argument at fault."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from semsearch.cli.output import Output
from semsearch.cli.query_line import QueryError, QueryLine, marked
from semsearch.errors import ErrorDetails, InvalidRequest, SemsearchError

_WRONG_USAGE = 2
_FIELD = re.compile(r"(images|terms)\[(\d+)\]")


@dataclass
class QueryContext:
    """The current query; None until it is parsed."""

    line: QueryLine | None = None


@contextmanager
def query_errors(output: Output, arguments: Sequence[str]) -> Iterator[QueryContext]:
    """Print an error about the query, ours or the server's, with its place; then exit.

    A query that cannot be parsed is wrong usage (exit status 2); one that the server refuses is a failure (1).
    """
    context = QueryContext()
    try:
        yield context
    except QueryError as error:
        output.fail(InvalidRequest(error.problem, ErrorDetails("INVALID_QUERY")))
        _mark(output, arguments, set() if error.place is None else {error.place})
        raise typer.Exit(_WRONG_USAGE) from error
    except SemsearchError as error:
        places = _places(context.line, error) if context.line else set()
        if not places:
            raise
        output.fail(error)
        _mark(output, arguments, places)
        raise typer.Exit(1) from error


def _mark(output: Output, arguments: Sequence[str], places: set[int]) -> None:
    if len(arguments) > 1:  # a single argument needs no mark
        for text in marked(arguments, places):
            output.note(text)


def _places(line: QueryLine, error: SemsearchError) -> set[int]:
    """Return the places of the arguments that a server's error refers to, by its field or by its unknown words."""
    places: set[int] = set()
    for field, _ in error.details.fields:
        if found := _FIELD.match(field):
            number = int(found[2])
            if found[1] == "images" and number < len(line.pictures):
                place = line.pictures[number].place
                places |= set() if place is None else {place}
            elif found[1] == "terms" and number < len(terms := line.terms()):
                places.add(terms[number][0])
    for unknown in _unknown_words(error):
        places |= {place for place, word in line.words if unknown.casefold() in word.casefold()}
    return places


def _unknown_words(error: SemsearchError) -> list[str]:
    try:
        suggestions = json.loads(error.details.metadata.get("suggestions", "{}"))
    except ValueError:  # the server cut a list that was too long
        return []
    return list(suggestions) if isinstance(suggestions, dict) else []
