"""Python values → the JSON of messages, or an `InvalidRequest` that locates a value without a JSON form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real

from google.protobuf import struct_pb2

from semsearch.errors import InvalidRequest

_LISTS = (list, tuple, set, frozenset)


def struct_of(value: object, where: str) -> struct_pb2.Struct:
    """Return a JSON object; errors name it `where`."""
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"{where} must be a dict, not {_kind(value)}.")
    for name in value:
        if not isinstance(name, str):
            raise InvalidRequest(f"{where} has the key {name!r}, and keys must be strings.")
    return struct_pb2.Struct(fields={name: value_of(each, f"{where}[{name!r}]") for name, each in value.items()})


def value_of(value: object, where: str) -> struct_pb2.Value:
    """Return any JSON value."""
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=struct_of(value, where))
    if isinstance(value, _LISTS):
        values = [value_of(each, where) for each in value]
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=values))
    return scalar_of(value, where)


def scalar_of(value: object, where: str) -> struct_pb2.Value:
    """Return a string, number, truth value or null."""
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, str):
        return _string_of(value, where)
    if isinstance(value, Real):
        return struct_pb2.Value(number_value=_number_of(value, where))
    raise InvalidRequest(f"{where} is {_kind(value)}: give a string, a number, True, False or None.")


def is_exact(number: int) -> bool:
    """Return whether a message carries this whole number exactly; some beyond 2⁵³ would be rounded."""
    try:
        return int(float(number)) == number
    except OverflowError:
        return False


def _string_of(text: str, where: str) -> struct_pb2.Value:
    try:
        return struct_pb2.Value(string_value=text)
    except (UnicodeError, ValueError) as error:  # a lone surrogate, as in file names that are not Unicode
        raise InvalidRequest(f"{where} is {text!a}, which is not Unicode.") from error


def _number_of(number: Real, where: str) -> float:
    if isinstance(number, Integral) and not is_exact(int(number)):
        raise InvalidRequest(
            f"{where} is {number}, and whole numbers beyond 2⁵³ would be rounded: give it as a string."
        )
    if not math.isfinite(number):
        raise InvalidRequest(f"{where} is {number}, which JSON does not have.")
    return float(number)


def _kind(value: object) -> str:
    return f"of the type {type(value).__name__}"
