"""Attributes of items: JSON objects in canonical text, and the paths that point into them.

The text is canonical: one scalar has exactly one text, so that equality of scalars is equality of texts, whatever their
type, and one database index serves strings, numbers, booleans and null alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import override

from index_service.errors import InvalidAttributePath

Scalar: TypeAlias = str | int | float | bool | None
JsonValue: TypeAlias = "Scalar | list[JsonValue] | dict[str, JsonValue]"

MAX_PATH_CHARACTERS = 256
# Protobuf itself reads at most 100 messages within each other, three for each of these.
MAX_DEPTH = 16
# Beyond it a double no longer tells neighbouring integers apart, and SQLite's integers end at 2⁶³.
_LARGEST_INTEGER = 2.0**53
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True)
class AttributePath:
    """Names from the outermost object inwards; "camera.model" is ("camera", "model")."""

    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> AttributePath:
        """Read a path with dots.

        Raises:
            InvalidAttributePath: it is empty or too long, a name in it is empty, or has a character that SQLite's paths
                cannot express.
        """
        if not text or len(text) > MAX_PATH_CHARACTERS:
            raise InvalidAttributePath(text, f"must have 1 to {MAX_PATH_CHARACTERS} characters")
        names = tuple(text.split("."))
        if not all(names):
            raise InvalidAttributePath(text, "has an empty name between its dots")
        if any(character in '"\\' or not character.isprintable() for character in text):
            raise InvalidAttributePath(text, "has a quote, a backslash or a character that cannot be printed")
        return cls(names)

    @property
    def sql(self) -> str:
        """The path as an SQL literal."""
        # Not a parameter: SQLite uses an index on an expression only where the texts agree.
        path = "".join(f'."{name}"' for name in self.names).replace("'", "''")
        return f"'${path}'"

    @override
    def __str__(self) -> str:
        return ".".join(self.names)


def canonical_number(number: float) -> int | float:
    """Return the one Python number whose JSON text stands for `number`."""
    return int(number) if number.is_integer() and abs(number) <= _LARGEST_INTEGER else number


def to_json(value: JsonValue) -> str:
    """Return the canonical text of a value whose numbers are canonical."""
    return _ENCODER.encode(value)


def from_json(text: str) -> dict[str, JsonValue]:
    """Read attributes as `to_json` wrote them."""
    attributes: dict[str, JsonValue] = json.loads(text)
    return attributes


def is_canonical(text: str) -> bool:
    """Return whether a text is the canonical one of an object that is nested no deeper than `MAX_DEPTH`."""
    try:
        value = json.loads(text)
        return isinstance(value, dict) and to_json(_canonical(value, 1)) == text
    except (ValueError, OverflowError, RecursionError):
        return False


def _canonical(value: JsonValue, depth: int) -> JsonValue:
    if isinstance(value, dict | list) and depth > MAX_DEPTH:
        raise ValueError(value)
    if isinstance(value, dict):
        return {name: _canonical(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return [_canonical(each, depth + 1) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return canonical_number(float(value))
    return value


def select(attributes: Mapping[str, JsonValue], paths: Iterable[AttributePath]) -> dict[str, JsonValue]:
    """Return only what the paths point to, in the same nesting; a path that leads nowhere adds nothing."""
    selected: dict[str, JsonValue] = {}
    for path in paths:
        value: JsonValue = dict(attributes)
        for name in path.names:
            if not isinstance(value, dict) or name not in value:
                break
            value = value[name]
        else:
            target = selected
            for name in path.names[:-1]:
                inner = target.setdefault(name, {})
                if not isinstance(inner, dict):
                    break
                target = inner
            else:
                target[path.names[-1]] = value
    return selected
