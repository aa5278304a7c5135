"""The meaning of filters, evaluated in plain Python: the oracle for the SQL."""

from typing import Any

from index_service.attributes import AttributePath, JsonValue
from index_service.filters import Condition, Exists, Filter, OneOf, Within


def passes(condition: Condition, attributes: dict[str, JsonValue]) -> bool:
    match condition:
        case Filter(must, should, must_not):
            return (
                all(passes(each, attributes) for each in must)
                and (not should or any(passes(each, attributes) for each in should))
                and not any(passes(each, attributes) for each in must_not)
            )
        case Exists(path, present):
            return (len(_at(path, attributes)) > 0) == present
        case OneOf(path, values):
            return any(_same(element, value) for element in _elements(path, attributes) for value in values)
        case Within():
            return any(_within(condition, element) for element in _elements(condition.path, attributes))


def _at(path: AttributePath, attributes: JsonValue) -> list[JsonValue]:
    for name in path.names:
        if not isinstance(attributes, dict) or name not in attributes:
            return []
        attributes = attributes[name]
    return [attributes]


def _elements(path: AttributePath, attributes: dict[str, JsonValue]) -> list[JsonValue]:
    found = _at(path, attributes)
    return found[0] if found and isinstance(found[0], list) else found


def _same(element: JsonValue, value: JsonValue) -> bool:
    if isinstance(element, bool) or isinstance(value, bool) or element is None or value is None:
        return element is value
    return not isinstance(element, list | dict) and element == value


def _within(condition: Within, element: JsonValue) -> bool:
    if isinstance(element, bool) or not isinstance(element, str if condition.of_text else (int | float)):
        return False
    bounded: Any = element
    return (
        (condition.gt is None or bounded > condition.gt)
        and (condition.gte is None or bounded >= condition.gte)
        and (condition.lt is None or bounded < condition.lt)
        and (condition.lte is None or bounded <= condition.lte)
    )
