"""Filters on attributes, and their translation into parameterised SQL.

A condition tests the value at its path. The path descends through objects by name. A list at its end passes if any of
its elements passes; lists within that list are not searched. A path that leads nowhere passes only
`Exists(present=False)`. Equality respects types: 1 is not true, and "1" is not 1. A range matches only numbers,
or only texts.

Values reach SQL only as parameters; paths are literals (`AttributePath.sql`), which their parser makes safe. The SQL
expects a table with a column `attributes` of canonical JSON text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from index_service.attributes import AttributePath, Scalar, to_json

# SQLite's own limits are an expression depth of 1,000 and 32,766 parameters.
MAX_DEPTH = 8
MAX_CONDITIONS = 256
MAX_VALUES = 10_000
# JSON whose texts have no NUL, where SQLite before 3.45 would end them; different texts remain different.
_WITHOUT_NUL = r"replace(replace(replace({}, '\\', '\u005c'), '\u0001', '\u0001\u0002'), '\u0000', '\u0001\u0003')"


@dataclass(frozen=True)
class OneOf:
    """The attribute equals one of the values; nothing passes if there are no values."""

    path: AttributePath
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Within:
    """The attribute is a number, or a text, within bounds; None means no bound. Texts sort by code points."""

    path: AttributePath
    gt: float | str | None = None
    gte: float | str | None = None
    lt: float | str | None = None
    lte: float | str | None = None
    of_text: bool = False


@dataclass(frozen=True)
class Exists:
    """The attribute exists, even if it is null; or, with `present` false, it does not."""

    path: AttributePath
    present: bool


@dataclass(frozen=True)
class Filter:
    """Passes if all of `must`, none of `must_not` and, unless empty, at least one of `should` do."""

    must: tuple[Condition, ...] = ()
    should: tuple[Condition, ...] = ()
    must_not: tuple[Condition, ...] = ()


Condition: TypeAlias = OneOf | Within | Exists | Filter


@dataclass(frozen=True)
class Sql:
    """An SQL expression and its parameters; true, false or NULL, which counts as false."""

    text: str
    parameters: tuple[str | float, ...] = ()


def to_sql(condition: Condition) -> Sql:
    """Translate a filter or a condition."""
    match condition:
        case Filter():
            return _filter(condition)
        case OneOf():
            return _one_of(condition)
        case Within():
            return _within(condition)
        case Exists(path, present):
            return Sql(f"json_type(attributes, {path.sql}) IS {'NOT ' if present else ''}NULL")


def index_statements(path: AttributePath, number: int) -> tuple[str, ...]:
    """Return the statements that make `OneOf` on a path fast: an index of scalars, and an index that finds lists."""
    return (
        f"CREATE INDEX attribute_{number}_value ON items (attributes -> {path.sql})",
        f"CREATE INDEX attribute_{number}_type ON items (json_type(attributes, {path.sql}))",
    )


def _filter(condition: Filter) -> Sql:
    terms = [to_sql(each) for each in condition.must]
    if condition.should:
        terms.append(_join([to_sql(each) for each in condition.should], " OR "))
    for each in condition.must_not:
        inner = to_sql(each)
        # A test of an absent attribute is NULL, and NOT NULL would be NULL too.
        terms.append(Sql(f"({inner.text}) IS NOT TRUE", inner.parameters))
    return _join(terms, " AND ") if terms else Sql("TRUE")


def _one_of(condition: OneOf) -> Sql:
    if not condition.values:
        return Sql("FALSE")
    path = condition.path.sql
    texts = tuple(to_json(value) for value in condition.values)
    among = f"IN ({', '.join('?' * len(texts))})"
    # Looking up an element means reading all elements before it. So this is done only for elements that SQLite reads as
    # it reads one of the values: equal ones, and numbers that differ only in digits beyond those that it reads.
    wanted = f"SELECT type, ifnull(atom, 0) FROM json_each({_WITHOUT_NUL.format('?')})"  # noqa: S608 — a constant
    element = f"attributes -> ({path} || '[' || key || ']')"
    # Each of the two terms has an index, so SQLite combines two lookups instead of reading every row.
    return Sql(
        f"((attributes -> {path}) {among} OR (json_type(attributes, {path}) = 'array' AND EXISTS "  # noqa: S608 — no value is in the text
        f"(SELECT 1 FROM json_each({_WITHOUT_NUL.format('attributes')}, {path}) "
        f"WHERE CASE WHEN (type, ifnull(atom, 0)) IN ({wanted}) THEN ({element}) {among} END)))",
        (*texts, to_json(list(condition.values)), *texts),
    )


def _within(condition: Within) -> Sql:
    path = condition.path.sql
    bounds = [
        (operator, bound)
        for operator, bound in (
            (">", condition.gt),
            (">=", condition.gte),
            ("<", condition.lt),
            ("<=", condition.lte),
        )
        if bound is not None
    ]
    values = tuple(bound for _, bound in bounds)
    types = "('text')" if condition.of_text else "('integer', 'real')"
    scalar = "".join(f" AND json_extract(attributes, {path}) {operator} ?" for operator, _ in bounds)
    element = "".join(f" AND atom {operator} ?" for operator, _ in bounds)
    # Using json_each for every value would be shorter, but take twice as long.
    return Sql(
        f"CASE WHEN json_type(attributes, {path}) IN {types} THEN TRUE{scalar} "  # noqa: S608 — no value is in the text
        f"WHEN json_type(attributes, {path}) = 'array' THEN EXISTS "
        f"(SELECT 1 FROM json_each(attributes, {path}) WHERE type IN {types}{element}) END",
        values + values,
    )


def _join(terms: Sequence[Sql], operator: str) -> Sql:
    if len(terms) == 1:
        return terms[0]
    return Sql(
        "(" + operator.join(term.text for term in terms) + ")",
        tuple(parameter for term in terms for parameter in term.parameters),
    )
