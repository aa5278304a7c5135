"""google.protobuf.Struct ↔ canonical JSON text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value

from index_service.attributes import (
    MAX_DEPTH,
    AttributePath,
    JsonValue,
    Scalar,
    canonical_number,
    from_json,
    is_canonical,
    select,
    to_json,
)
from serving.errors import InvalidField

MAX_ATTRIBUTES_BYTES = 64 * 2**10


def attributes_json(struct: Struct, field: str) -> str:
    """Returns a Struct as canonical JSON.

    Raises:
        InvalidField: a number is NaN or infinite, or it is nested too deep, or too large.
    """
    if not struct.fields:
        return "{}"
    text = to_json(_object(struct, field, 1))
    _check_size(text, field)
    return text


def canonical_json(text: str, field: str) -> str:
    """Returns canonical JSON as it came.

    Raises:
        InvalidField: it is not canonical, not an object, nested too deep, or too large.
    """
    _check_size(text, field)
    if not is_canonical(text):
        raise InvalidField(
            field,
            "is not an object in canonical JSON: without spaces, characters as they are, whole numbers without a "
            f"fraction, at most {MAX_DEPTH} levels deep.",
        )
    return text


def _check_size(text: str, field: str) -> None:
    if len(text) > MAX_ATTRIBUTES_BYTES or len(text.encode()) > MAX_ATTRIBUTES_BYTES:
        raise InvalidField(field, f"are more than {MAX_ATTRIBUTES_BYTES} bytes as JSON; keep large things elsewhere.")


def attributes_struct(text: str, paths: Sequence[AttributePath] | None) -> Struct:
    """Returns canonical JSON as a Struct; where `paths` are given, only what they point to."""
    attributes = from_json(text)
    return _struct(attributes if paths is None else select(attributes, paths))


def scalar(value: Value) -> Scalar:
    """Returns a scalar.

    Raises:
        ValueError: it is none, with the reason.
    """
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            if not math.isfinite(value.number_value):
                raise ValueError("must be a finite number")
            return canonical_number(value.number_value)
        case "bool_value":
            return value.bool_value
        case "null_value":
            return None
        case _:
            raise ValueError("must be a string, a number, a boolean or null")


def _object(struct: Struct, field: str, depth: int) -> dict[str, JsonValue]:
    if depth > MAX_DEPTH:
        raise InvalidField(field, f"are nested deeper than {MAX_DEPTH}.")
    return {name: _plain(value, field, depth) for name, value in struct.fields.items()}


def _plain(value: Value, field: str, depth: int) -> JsonValue:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _object(value.struct_value, field, depth + 1)
        case "list_value":
            if depth >= MAX_DEPTH:
                raise InvalidField(field, f"are nested deeper than {MAX_DEPTH}.")
            return [_plain(each, field, depth + 1) for each in value.list_value.values]
        case None:
            return None
        case _:
            try:
                return scalar(value)
            except ValueError as error:
                raise InvalidField(field, f"hold a number that JSON cannot express: it {error}.") from error


def _struct(attributes: dict[str, JsonValue]) -> Struct:
    return Struct(fields={name: _value(value) for name, value in attributes.items()})


def _value(value: JsonValue) -> Value:
    if isinstance(value, str):
        return Value(string_value=value)
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, int | float):
        return Value(number_value=value)
    if isinstance(value, dict):
        return Value(struct_value=_struct(value))
    if isinstance(value, list):
        return Value(list_value=ListValue(values=[_value(each) for each in value]))
    return Value(null_value=NullValue.NULL_VALUE)
