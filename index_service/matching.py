"""Whether attributes pass a filter, evaluated here; `filters` says what a filter means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any

from index_service.attributes import AttributePath, JsonValue, to_json
from index_service.filters import Condition, Exists, Filter, OneOf, Within


def passes(condition: Condition, attributes: Mapping[str, JsonValue]) -> bool:
    """Return whether attributes pass."""
    match condition:
        case Filter(must, should, must_not):
            return (
                all(passes(each, attributes) for each in must)
                and (not should or any(passes(each, attributes) for each in should))
                and not any(passes(each, attributes) for each in must_not)
            )
        case Exists(path, present):
            return bool(values_at(path, attributes)) == present
        case OneOf(path, values):
            wanted = {to_json(each) for each in values}
            return any(to_json(each) in wanted for each in _scalars(path, attributes))
        case Within():
            return any(_is_within(condition, each) for each in _scalars(condition.path, attributes))


def values_at(path: AttributePath, attributes: Mapping[str, JsonValue]) -> list[JsonValue]:
    """Return the value at a path, alone in a list; an empty list if the path leads nowhere."""
    value: Any = attributes
    for name in path.names:
        if not isinstance(value, dict) or name not in value:
            return []
        value = value[name]
    return [value]


def _scalars(path: AttributePath, attributes: Mapping[str, JsonValue]) -> list[JsonValue]:
    found = values_at(path, attributes)
    elements = found[0] if found and isinstance(found[0], list) else found
    return [each for each in elements if not isinstance(each, dict | list)]


def _is_within(condition: Within, value: JsonValue) -> bool:
    if isinstance(value, bool) or not isinstance(value, str if condition.of_text else (int | float)):
        return False
    bounds: tuple[tuple[Callable[[Any, Any], bool], float | str | None], ...] = (
        (gt, condition.gt),
        (ge, condition.gte),
        (lt, condition.lt),
        (le, condition.lte),
    )
    return all(bound is None or compare(value, bound) for compare, bound in bounds)
