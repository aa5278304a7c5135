"""Conditions on attributes, and where a caller's field lies in the index.

A stored image's attributes are `{"user": {…the caller's own…}, "image": {…what the gateway knows…}}`. A caller writes
`camera.model` for an attribute of their own, and `image.width` (any name of `IMAGE_FIELDS`) for one that the gateway
keeps. A caller's own attribute that bears exactly such a name is hidden from filters by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

JsonValue = None | bool | float | str | list["JsonValue"] | dict[str, "JsonValue"]
Scalar = None | bool | float | str

IMAGE_FIELDS = frozenset({"sha256", "media_type", "size_bytes", "width", "height", "create_time"})


@dataclass(frozen=True)
class Equals:
    """Equal to a string, number, boolean or null."""

    value: JsonValue


@dataclass(frozen=True)
class AnyOf:
    """Equal to one of these."""

    values: tuple[JsonValue, ...]


@dataclass(frozen=True)
class Range:
    """A number within bounds; None is open."""

    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


@dataclass(frozen=True)
class Exists:
    """Present or absent."""

    present: bool


@dataclass(frozen=True)
class Condition:
    """A test on the attribute at a path, or a nested filter, whose field is empty."""

    field: str
    test: Equals | AnyOf | Range | Exists | Filter


@dataclass(frozen=True)
class Filter:
    """Passes if all of `must`, none of `must_not` and, where there is any, one of `should` hold."""

    must: tuple[Condition, ...] = ()
    should: tuple[Condition, ...] = ()
    must_not: tuple[Condition, ...] = ()


def in_store(filter_: Filter) -> Filter:
    """Returns a caller's filter with the fields' paths as they are in the index."""

    def move(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
        return tuple(
            replace(each, test=in_store(each.test))
            if isinstance(each.test, Filter)
            else replace(each, field=_in_store(each.field))
            for each in conditions
        )

    return Filter(move(filter_.must), move(filter_.should), move(filter_.must_not))


def _in_store(field: str) -> str:
    group, _, name = field.partition(".")
    return field if group == "image" and name in IMAGE_FIELDS else f"user.{field}"
