"""google.protobuf.Struct ↔ JSON values.

Written out because a page of search results converts hundreds of values, and json_format takes several times as long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from google.protobuf import struct_pb2

from gateway.filters import JsonValue
from gateway.vector_index import Attributes


def to_json(struct: struct_pb2.Struct) -> dict[str, JsonValue]:
    """Returns a Struct's fields.

    Raises:
        ValueError: a number is not finite, which JSON cannot say.
    """
    return {name: value_to_json(value) for name, value in struct.fields.items()}


def value_to_json(value: struct_pb2.Value) -> JsonValue:
    """Returns a Value; one that has no kind is null."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        if not math.isfinite(value.number_value):
            raise ValueError(f"{value.number_value} is not a number that JSON has")
        return value.number_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return to_json(value.struct_value)
    if kind == "list_value":
        return [value_to_json(each) for each in value.list_value.values]
    return None


def to_struct(attributes: Attributes) -> struct_pb2.Struct:
    """Returns attributes as a Struct."""
    struct = struct_pb2.Struct()
    _fill(struct, attributes)
    return struct


def to_value(value: JsonValue) -> struct_pb2.Value:
    """Returns a JSON value as a Value."""
    message = struct_pb2.Value()
    _set(message, value)
    return message


def _fill(struct: struct_pb2.Struct, attributes: Mapping[str, JsonValue]) -> None:
    for name, value in attributes.items():
        _set(struct.fields[name], value)


def _set(message: struct_pb2.Value, value: JsonValue) -> None:
    if value is None:
        message.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, Mapping):
        message.struct_value.SetInParent()
        _fill(message.struct_value, value)
    elif isinstance(value, list):
        message.list_value.SetInParent()
        for each in value:
            _set(message.list_value.values.add(), each)
    else:
        message.number_value = value
