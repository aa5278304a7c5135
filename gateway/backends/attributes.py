"""Attributes: JSON objects, canonical text in the index, google.protobuf.Struct at the public edge.

Copying an item keeps the text as it is. Canonical text has no spaces, no escaped non-ASCII characters,
and whole numbers up to 2⁵³ without a fraction, so that equal values are equal texts; the index refuses other forms.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
Attributes = Mapping[str, JsonValue]

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
# Beyond this, a double cannot distinguish neighbouring integers.
_LARGEST_INTEGER = 2.0**53


def to_text(attributes: Attributes) -> str:
    """Return the canonical text of attributes whose whole numbers are `int`, as `from_struct` makes them."""
    return _ENCODER.encode(attributes)


def from_text(text: str) -> dict[str, JsonValue]:
    """Return the attributes of a canonical text."""
    attributes: dict[str, JsonValue] = json.loads(text)
    return attributes


def from_struct(struct: Struct) -> dict[str, JsonValue]:
    """Return the fields of a Struct.

    Raises:
        ValueError: A number is not finite, which JSON cannot express.
    """
    return {name: from_value(value) for name, value in struct.fields.items()}


def to_struct(attributes: Attributes) -> Struct:
    """Return attributes as a Struct."""
    return Struct(fields={name: _to_value(value) for name, value in attributes.items()})


def from_value(value: Value) -> JsonValue:
    """Return a Value's content; one without a kind is null. Raises as `from_struct`."""
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return _number(value.number_value)
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return from_struct(value.struct_value)
        case "list_value":
            return [from_value(each) for each in value.list_value.values]
        case _:
            return None


def canonical(number: JsonValue) -> JsonValue:
    """Return a value whose number is in the canonical form: a whole one is an `int`."""
    return _number(number) if isinstance(number, float) else number


def _number(number: float) -> int | float:
    if not math.isfinite(number):
        raise ValueError(f"{number} is not a number in JSON")
    return int(number) if number.is_integer() and abs(number) <= _LARGEST_INTEGER else number


def _to_value(value: JsonValue) -> Value:
    match value:
        case str():
            return Value(string_value=value)
        case bool():
            return Value(bool_value=value)
        case int() | float():
            return Value(number_value=value)
        case dict():
            return Value(struct_value=to_struct(value))
        case list():
            return Value(list_value=ListValue(values=[_to_value(each) for each in value]))
        case _:
            return Value(null_value=NullValue.NULL_VALUE)
