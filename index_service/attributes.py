"""Attributes of items: JSON objects as canonical text, and the paths that point into them.

Canonical means that each scalar has exactly one text. Scalars of any type are therefore equal exactly if their texts
are, and one database index serves strings, numbers, booleans and null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import override

from index_service.errors import InvalidAttributePath
from serving.field_paths import join_path, split_path

Scalar: TypeAlias = str | int | float | bool | None
JsonValue: TypeAlias = "Scalar | list[JsonValue] | dict[str, JsonValue]"

MAX_PATH_CHARACTERS = 256
# Protobuf reads at most 100 nested messages, and each level takes three.
MAX_DEPTH = 16
# Above it, a double cannot distinguish neighbouring integers; SQLite's integers end at 2⁶³.
_LARGEST_INTEGER = 2.0**53
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True)
class AttributePath:
    """Names from the outermost object inward; "camera.model" is ("camera", "model"). See `serving.field_paths`."""

    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> AttributePath:
        """Parse a dotted path; a name that has dots is in backticks.

        Raises:
            InvalidAttributePath: the path is empty or too long, or a name in it is empty or has a character that
                SQLite's paths cannot express.
        """
        if not text or len(text) > MAX_PATH_CHARACTERS:
            raise InvalidAttributePath(text, f"must have 1 to {MAX_PATH_CHARACTERS} characters")
        try:
            names = split_path(text)
        except ValueError as error:
            raise InvalidAttributePath(text, str(error)) from error
        if any(character in '"\\' or not character.isprintable() for character in text):
            raise InvalidAttributePath(text, "has a quote, a backslash or a character that cannot be printed")
        return cls(names)

    @property
    def sql(self) -> str:
        """The path as an SQL literal."""
        # Not a parameter: SQLite uses an index on an expression only if the texts are the same.
        path = "".join(f'."{name}"' for name in self.names).replace("'", "''")
        return f"'${path}'"

    @override
    def __str__(self) -> str:
        return join_path(self.names)


def canonical_number(number: float) -> int | float:
    """Return `number` as the int or float whose JSON text is canonical."""
    return int(number) if number.is_integer() and abs(number) <= _LARGEST_INTEGER else number


def to_json(value: JsonValue) -> str:
    """Return the canonical text of a value whose numbers are canonical."""
    return _ENCODER.encode(value)


def from_json(text: str) -> dict[str, JsonValue]:
    """Read attributes as `to_json` wrote them."""
    attributes: dict[str, JsonValue] = json.loads(text)
    return attributes


def is_canonical(text: str) -> bool:
    """Return whether a text is the canonical JSON of an object nested no deeper than `MAX_DEPTH`."""
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
    """Return only the values at the paths, with the same nesting; a path that leads nowhere adds nothing."""
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
