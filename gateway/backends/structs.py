"""google.protobuf.Struct ↔ JSON values.

Reading is written out because each match of a search is read once: the attributes of an image take 13 µs,
json_format.MessageToDict takes 22 µs and makes integers of whole numbers.
"""

from __future__ import annotations

import math
from typing import cast

from google.protobuf import struct_pb2

from gateway.backends.filters import JsonValue
from gateway.backends.vector_index import Attributes


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
    struct.update(attributes)
    return struct


def to_value(value: JsonValue) -> struct_pb2.Value:
    """Returns a JSON value as a Value."""
    values = struct_pb2.ListValue()
    values.append(cast("None", value))  # the stubs know of no nested values
    return values.values[0]
