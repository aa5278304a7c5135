"""Conditions on the attributes of images, as Python expressions or as dicts.

    (Field("camera") == "X100") & Field("image.taken_time").between("2024-06", "2024-08")
    (Field("rating") >= 4) | ~Field("album").exists()
    {"camera": "X100", "label": ["dog", "cat"], "rating": {"gte": 4}, "album": {"exists": True}}
    {"must": [{"camera": "X100"}], "should": [{"label": "dog"}, {"rating": {"gte": 4}}], "must_not": [{"draft": True}]}

An attribute of the caller's own is named as it is, and nested ones with dots ("camera.model"); a field of `Image` is
named "image.width". Comparisons are put in parentheses, because & | ~ bind tighter. An image that lacks an attribute
passes no condition on it, and so passes the negation of each. A list passes if any of its elements does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from numbers import Real
from typing import Any, NoReturn, TypeAlias

from google.protobuf import struct_pb2
from typing_extensions import override

from semsearch.errors import InvalidRequest
from semsearch.json_values import scalar_of
from semsearch.v1 import query_pb2
from semsearch.values.images import Scalar

Bound: TypeAlias = float | str | date
_BOUNDS = ("gt", "gte", "lt", "lte")
_PARTS = ("must", "should", "must_not")
_TIME = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?")


class Condition:
    """A condition on images; combine conditions with & (and), | (or) and ~ (not)."""

    def __init__(self, message: query_pb2.Filter, text: str) -> None:
        self.message = message
        self._text = text

    def __and__(self, other: Condition | Mapping[str, Any]) -> Condition:
        message = query_pb2.Filter()
        for each in (self, _condition(other)):
            if each.message.should:  # "at least one of these", which only a filter of its own can say
                message.must.append(_nested(each.message))
            else:
                message.MergeFrom(each.message)
        return Condition(message, f"({self} & {other})")

    def __or__(self, other: Condition | Mapping[str, Any]) -> Condition:
        message = query_pb2.Filter()
        for each in (self, _condition(other)):
            is_choice = each.message.should and not each.message.must and not each.message.must_not
            message.should.extend(each.message.should if is_choice else [_as_one(each.message)])
        return Condition(message, f"({self} | {other})")

    def __invert__(self) -> Condition:
        denied = self.message.must_not
        if len(denied) == 1 and not self.message.must and not self.message.should:
            return Condition(query_pb2.Filter(must=denied), f"~{self}")
        return Condition(query_pb2.Filter(must_not=[_as_one(self.message)]), f"~{self}")

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "A condition is neither true nor false: combine conditions with & | ~ instead of and, or, not; and use "
            "between() instead of a < field < b."
        )

    @override
    def __repr__(self) -> str:
        return self._text


Where: TypeAlias = Condition | Mapping[str, Any] | query_pb2.Filter


class Field:
    """An attribute, by its path; compared with a value it becomes a `Condition`.

    >>> (Field("label") == "banana") & (Field("image.width") >= 64)
    ((Field('label') == 'banana') & (Field('image.width') >= 64))
    >>> Field("camera")["f.number"]
    Field('camera.`f.number`')
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, path: str) -> None:
        if not isinstance(path, str):
            raise InvalidRequest(f"The names of attributes are strings, not {type(path).__name__}.")
        self.path = path

    def __getitem__(self, name: str) -> Field:
        """Return the attribute with this name, which may have dots, inside this one."""
        return Field(f"{self.path}.{path_of(name)}")

    @override
    def __repr__(self) -> str:
        return f"Field({self.path!r})"

    @override
    def __eq__(self, value: Scalar) -> Condition:  # type: ignore[override]
        return self.equals(value)

    @override
    def __ne__(self, value: Scalar) -> Condition:  # type: ignore[override]
        return Condition((~self.equals(value)).message, f"({self!r} != {value!r})")

    def __lt__(self, value: Bound) -> Condition:
        return self._within(f"< {value!r}", lt=value)

    def __le__(self, value: Bound) -> Condition:
        return self._within(f"<= {value!r}", lte=value)

    def __gt__(self, value: Bound) -> Condition:
        return self._within(f"> {value!r}", gt=value)

    def __ge__(self, value: Bound) -> Condition:
        return self._within(f">= {value!r}", gte=value)

    def _misplaced(self, _: object) -> NoReturn:
        raise TypeError(f'Put comparisons in parentheses: (Field("a") == 1) & ({self!r} == 2).')

    __and__ = __rand__ = __or__ = __ror__ = __invert__ = _misplaced

    def equals(self, value: Scalar) -> Condition:
        """Be equal to a string, a number, True, False or None; the same as ==."""
        return self._test(f"== {value!r}", equals=scalar_of(value, repr(self)))

    def one_of(self, *values: Scalar) -> Condition:
        """Be equal to one of these values."""
        found = [scalar_of(each, repr(self)) for each in values]
        return self._test(f".one_of({', '.join(map(repr, values))})", any_of=struct_pb2.ListValue(values=found))

    def between(self, first: Bound, last: Bound) -> Condition:
        """Lie between two numbers, texts or times, both included.

        A text between "2024-06" and "2024-08" may begin with either, so that is all summer. So is a date between two
        dates: each has all of its day.
        """
        shown = f".between({first!r}, {last!r})"
        if isinstance(first, Real) and isinstance(last, Real):
            return self._within(shown, gte=first, lte=last)
        return self._within(shown, gte=first, **_before_the_end_of(_text(last, repr(self))))

    def starts_with(self, prefix: str) -> Condition:
        """Begin with a text."""
        return self._within(f".starts_with({prefix!r})", gte=prefix, **_before_the_end_of(prefix))

    def exists(self) -> Condition:
        """Be there at all."""
        return self._test(".exists()", exists=True)

    def missing(self) -> Condition:
        """Not be there."""
        return self._test(".missing()", exists=False)

    def _within(self, shown: str, **bounds: Bound) -> Condition:
        if all(isinstance(value, Real) and not isinstance(value, bool) for value in bounds.values()):
            numbers = {name: scalar_of(value, repr(self)).number_value for name, value in bounds.items()}
            return self._test(shown, range=query_pb2.Range(**numbers))
        texts = {name: _text(value, repr(self)) for name, value in bounds.items()}
        return self._test(shown, text_range=query_pb2.TextRange(**texts))

    def _test(self, shown: str, **test: Any) -> Condition:
        operator = "" if shown.startswith(".") else " "
        text = f"{self!r}{operator}{shown}"
        condition = query_pb2.Condition(field=self.path, **test)
        return Condition(query_pb2.Filter(must=[condition]), f"({text})" if operator else text)


def taken(when: str) -> Condition:
    """Be a photo that was taken then: a year, a month, a day or a time, or two as "2024-06..2024-08", either left out.

    >>> taken("2024-06..2024-08")
    taken('2024-06..2024-08')

    Raises:
        InvalidRequest: it is not a time or a range of times.
    """
    first, dots, last = (part.strip() for part in when.partition(".."))
    if not dots:
        last = first
    if not (first or last) or not all(_TIME.fullmatch(end) for end in (first, last) if end):
        raise InvalidRequest(
            f"{when!r} is not a time: write a year, a month or a day (2024, 2024-06, 2024-06-05) or a range, "
            "2024-06..2024-08."
        )
    if first and last and first > last and not first.startswith(last):
        raise InvalidRequest(f"{when!r} ends before it begins: write the earlier time first.")
    bounds = query_pb2.TextRange(gte=first or None, **_before_the_end_of(last))
    test = query_pb2.Condition(field="image.taken_time", text_range=bounds)
    return Condition(query_pb2.Filter(must=[test]), f"taken({when!r})")


def filter_of(where: Where | None) -> query_pb2.Filter | None:
    """Return the message of a condition; None for no condition.

    Raises:
        InvalidRequest: it is no condition; the message locates what is wrong in a dict.
    """
    if where is None:
        return None
    if isinstance(where, query_pb2.Filter):
        return where
    message = _condition(where).message
    return message if message.ByteSize() else None


def path_of(name: str) -> str:
    """Return an attribute's name as a path segment: in backticks if it has dots (AIP-161)."""
    return f"`{name}`" if "." in name else name


def _condition(given: object) -> Condition:
    if isinstance(given, Condition):
        return given
    if isinstance(given, query_pb2.Filter):
        return Condition(given, "Filter(…)")
    if not isinstance(given, Mapping):
        raise InvalidRequest(f"where must be a condition or a dict, not {type(given).__name__}.")
    if given and all(name in _PARTS and _is_list_of_conditions(given[name]) for name in given):
        parts = {name: [_as_one(_condition(each).message) for each in given[name]] for name in given}
        return Condition(query_pb2.Filter(**parts), repr(given))
    message = query_pb2.Filter()
    for path, value in given.items():
        message.MergeFrom(_of_value(Field(path), value).message)
    return Condition(message, repr(given))


def _is_list_of_conditions(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, Condition | Mapping) for each in value)


def _of_value(field: Field, value: Any) -> Condition:
    """Return the condition that a dict has for a field: a value, several values, or bounds."""
    if isinstance(value, list | tuple | set | frozenset):
        return field.one_of(*value)
    if not isinstance(value, Mapping):
        return field.equals(value)
    if value.keys() == {"exists"}:
        return field.exists() if value["exists"] else field.missing()
    if not value or not value.keys() <= set(_BOUNDS):
        raise InvalidRequest(
            f"{field!r} is compared with {value!r}: give a value, a list of values, bounds such as "
            '{"gte": 1, "lt": 2}, or {"exists": True}.'
        )
    return field._within(f"within {value!r}", **value)


def _as_one(message: query_pb2.Filter) -> query_pb2.Condition:
    """Return a filter as one condition: its only one, or itself as a nested filter."""
    if len(message.must) == 1 and not message.should and not message.must_not:
        return message.must[0]
    return _nested(message)


def _nested(message: query_pb2.Filter) -> query_pb2.Condition:
    return query_pb2.Condition(nested=message)


def _text(value: object, where: str) -> str:
    if isinstance(value, date):  # or a datetime, which is one
        return value.isoformat()
    if isinstance(value, str):
        return value
    raise InvalidRequest(f"{where} has the bound {value!r}: give two numbers, two texts or two times.")


def _before_the_end_of(prefix: str) -> dict[str, str]:
    """Return the bound below which everything lies that begins with a text; no bound if all texts lie below it."""
    text = prefix.rstrip("\U0010ffff")
    if not text:
        return {}
    next_ = ord(text[-1]) + 1
    return {"lt": text[:-1] + chr(0xE000 if next_ == 0xD800 else next_)}  # surrogates are no characters
