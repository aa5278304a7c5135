"""Translates semsearch.v1.Filter to `filters.Filter`, within the limits on depth and size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from google.protobuf.struct_pb2 import Value
from semsearch.v1 import query_pb2

from index_service.attributes import AttributePath, Scalar, canonical_number
from index_service.errors import InvalidAttributePath, InvalidFilter
from index_service.filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_VALUES,
    Condition,
    Exists,
    Filter,
    OneOf,
    Within,
)
from serving.errors import InvalidField


def to_filter(message: query_pb2.Filter, field: str = "filter") -> Filter | None:
    """Return the filter; None if it has no conditions, so that everything passes.

    Raises:
        InvalidFilter: it is malformed, or deeper or larger than allowed.
    """
    condition = _filter(message, field, 1)
    conditions = list(_flat(condition))
    if len(conditions) > MAX_CONDITIONS:
        raise InvalidFilter(field, f"has {len(conditions)} conditions; at most {MAX_CONDITIONS} are allowed.")
    values = sum(len(each.values) for each in conditions if isinstance(each, OneOf))
    if values > MAX_VALUES:
        raise InvalidFilter(field, f"compares with {values} values; at most {MAX_VALUES} are allowed.")
    return condition if conditions else None


def to_path(text: str, field: str) -> AttributePath:
    """Return an attribute's path; raise `InvalidField` about `field` if it is malformed."""
    try:
        return AttributePath.parse(text)
    except InvalidAttributePath as error:
        raise InvalidField(field, f"{error.problem}.") from error


def _filter(message: query_pb2.Filter, field: str, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise InvalidFilter(field, f"is nested deeper than {MAX_DEPTH} filters.")
    return Filter(
        *(
            tuple(_condition(each, f"{field}.{name}[{number}]", depth) for number, each in enumerate(conditions))
            for name, conditions in (
                ("must", message.must),
                ("should", message.should),
                ("must_not", message.must_not),
            )
        )
    )


def _condition(message: query_pb2.Condition, field: str, depth: int) -> Condition:
    kind = message.WhichOneof("test")
    if kind is None:
        raise InvalidFilter(field, "has no test; set equals, any_of, range, text_range, exists or nested.")
    if kind == "nested":
        if message.field:
            raise InvalidFilter(f"{field}.field", "must be empty if the condition is a nested filter.")
        return _filter(message.nested, f"{field}.nested", depth + 1)
    try:
        path = AttributePath.parse(message.field)
    except InvalidAttributePath as error:
        raise InvalidFilter(f"{field}.field", f"{error.problem}.") from error
    match kind:
        case "equals":
            return OneOf(path, (_scalar(message.equals, f"{field}.equals"),))
        case "any_of":
            return OneOf(
                path,
                tuple(
                    _scalar(value, f"{field}.any_of[{number}]") for number, value in enumerate(message.any_of.values)
                ),
            )
        case "range":
            return _within(message.range, path, f"{field}.range")
        case "text_range":
            return Within(path, **_bounds(message.text_range), of_text=True)
        case "exists":
            return Exists(path, message.exists)


def _within(message: query_pb2.Range, path: AttributePath, field: str) -> Within:
    bounds = _bounds(message)
    for name, bound in bounds.items():
        if bound is not None and math.isnan(bound):
            raise InvalidFilter(f"{field}.{name}", "is NaN, which cannot be compared with numbers.")
    return Within(path, **bounds)


def _bounds(message: query_pb2.Range | query_pb2.TextRange) -> dict[str, Any]:
    return {name: getattr(message, name) if message.HasField(name) else None for name in ("gt", "gte", "lt", "lte")}


def _scalar(value: Value, field: str) -> Scalar:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value" if math.isfinite(value.number_value):
            return canonical_number(value.number_value)
        case "number_value":
            raise InvalidFilter(field, "must be a finite number.")
        case "bool_value":
            return value.bool_value
        case "null_value":
            return None
        case _:
            raise InvalidFilter(field, "must be a string, a number, a boolean or null.")


def _flat(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, Filter):
        for each in (*condition.must, *condition.should, *condition.must_not):
            yield from _flat(each)
    else:
        yield condition
