"""Conditions as Python expressions and dicts: what passes them, by the index's own reading of the message."""

from __future__ import annotations

import datetime
import itertools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from semsearch import Condition, Field, taken
from semsearch.errors import InvalidRequest
from semsearch.filters import filter_of

from index_service.api.translate.filters import to_filter
from index_service.filters import Filter
from tests.unit.index_service.filter_oracle import passes

A, B = Field("a"), Field("b")
Test = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Case:
    """A condition, and what it says about attributes."""

    condition: Condition
    holds: Test


LEAVES = [
    Case(A == 1, lambda each: each.get("a") == 1),
    Case(A != 1, lambda each: each.get("a") != 1),
    Case(A >= 2, lambda each: isinstance(each.get("a"), int) and each["a"] >= 2),
    Case(B == "x", lambda each: each.get("b") == "x"),
    Case(B < "y", lambda each: isinstance(each.get("b"), str) and each["b"] < "y"),
    Case(B.one_of("y", "z"), lambda each: each.get("b") in {"y", "z"}),
    Case(B.exists(), lambda each: "b" in each),
    Case(B.missing(), lambda each: "b" not in each),
]
CASES = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.builds(lambda one: Case(~one.condition, lambda each: not one.holds(each)), inner),
        st.builds(
            lambda one, two: Case(one.condition & two.condition, lambda each: one.holds(each) and two.holds(each)),
            inner,
            inner,
        ),
        st.builds(
            lambda one, two: Case(one.condition | two.condition, lambda each: one.holds(each) or two.holds(each)),
            inner,
            inner,
        ),
    ),
    max_leaves=7,
)
IMAGES = [
    {name: value for name, value in (("a", a), ("b", b)) if value is not None}
    for a, b in itertools.product((None, 1, 2), (None, "x", "y"))
]


def rule(where: Any) -> Filter:
    message = filter_of(where)
    assert message is not None
    found = to_filter(message)
    assert found is not None
    return found


@given(CASES)
def test_expressions_mean_what_python_means(case: Case) -> None:
    found = rule(case.condition)
    assert [passes(found, image) for image in IMAGES] == [case.holds(image) for image in IMAGES]


def test_long_chains_stay_flat() -> None:
    fields = [Field(f"f{number}") == number for number in range(50)]
    for chain, part in ((_joined(operator.and_, fields), "must"), (_joined(operator.or_, fields), "should")):
        assert len(getattr(chain.message, part)) == len(fields)
        rule(chain)  # the index refuses more than 8 levels


def _joined(join: Callable[[Condition, Condition], Condition], conditions: list[Condition]) -> Condition:
    joined = conditions[0]
    for each in conditions[1:]:
        joined = join(joined, each)
    return joined


@pytest.mark.parametrize(
    ("where", "same"),
    [
        ({"color": "red"}, Field("color") == "red"),
        ({"year": np.int64(2019)}, Field("year") == 2019),
        ({"color": ["red", None, True, 1.5]}, Field("color").one_of("red", None, True, 1.5)),
        ({"color": ("red",)}, Field("color").one_of("red")),
        ({"n": 2**53}, Field("n") == 2**53),
        ({"n": {"gte": 1, "lt": 2}, "c": "x"}, (Field("n") >= 1) & (Field("n") < 2) & (Field("c") == "x")),
        ({"t": {"gte": "2024"}}, Field("t") >= "2024"),
        ({"a": {"exists": True}, "b": {"exists": False}}, A.exists() & B.missing()),
        ({"must": ["red"]}, Field("must").one_of("red")),
        (
            {"must": [{"a": 1}], "should": [{"b": "x"}, B == "y"], "must_not": [{"c": 1, "d": 2}]},
            (A == 1) & ((B == "x") | (B == "y")) & ~((Field("c") == 1) & (Field("d") == 2)),
        ),
    ],
    ids=str,
)
def test_a_dict_is_the_same_as_an_expression(where: dict[str, Any], same: Condition) -> None:
    values = (None, 1, 1.5, 2019, 2**53, "red", "x", "y", True, "2024-06")
    one, other = rule(where), rule(same)
    for image in itertools.product(values, repeat=2):
        for names in itertools.combinations(("a", "b", "c", "d", "n", "t", "color", "year", "must"), 2):
            attributes: dict[str, Any] = dict(zip(names, image, strict=True))
            assert passes(one, attributes) == passes(other, attributes)


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ("color=red", "where must be a condition or a dict, not str"),
        ({1: "red"}, "names of attributes are strings"),
        ({"color": {"red": 1}}, r"Field\('color'\) is compared with \{'red': 1\}"),
        ({"color": [["red"]]}, r"Field\('color'\) is of the type list"),
        ({"day": datetime.date(2024, 1, 1)}, r"Field\('day'\) is of the type date"),
        ({"color": b"red"}, "bytes"),
        ({"n": math.nan}, "JSON does not have"),
        ({"n": 2**53 + 1}, "would be rounded"),
        ({"n": 10**400}, "would be rounded"),
        ({"n": {"gte": 1, "lt": "b"}}, "two numbers, two texts or two times"),
        ({"n": {"gte": None}}, "has the bound None"),
        ({"name": "\udcff"}, "not Unicode"),
    ],
)
def test_what_is_no_condition_is_our_own_error(where: Any, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        filter_of(where)


def test_what_python_would_misread_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"& \| ~ instead of and, or, not"):
        assert (A == 1) and (B == 2)  # noqa: PT018
    with pytest.raises(TypeError, match="parentheses"):
        assert A == 1 & B == 2  # type: ignore[operator]
    with pytest.raises(TypeError, match="between"):
        assert 1 < A < 3


@pytest.mark.parametrize(
    ("condition", "passing", "failing"),
    [
        (A.between(1, 2), (1, 1.5, 2), (0.9, 2.1, "1")),
        (A.between("2024-06", "2024-08"), ("2024-06-01", "2024-08-31T23:59:59"), ("2024-05-31", "2024-09-01")),
        (
            A.between(datetime.date(2024, 6, 1), datetime.date(2024, 6, 2)),
            ("2024-06-01T00:00:00", "2024-06-02T23:59:59+02:00"),
            ("2024-06-03T00:00:00", "2024-05-31T23:59:59"),
        ),
        (A > datetime.datetime(2024, 6, 1, 12), ("2024-06-01T12:00:01",), ("2024-06-01T11:59:59",)),  # noqa: SIM300
        (A.starts_with("ab"), ("ab", "abz"), ("aa", "b")),
        (A.starts_with("a\U0010ffff"), ("a\U0010ffff", "a\U0010ffffx"), ("b", "a")),
    ],
    ids=repr,
)
def test_bounds(condition: Condition, passing: tuple[object, ...], failing: tuple[object, ...]) -> None:
    found = rule(condition)
    assert all(passes(found, {"a": value}) for value in passing)
    assert not any(passes(found, {"a": value}) for value in failing)


def test_conditions_print_as_they_are_written() -> None:
    assert repr(((A == 1) & ~B.exists()) | (B != "x")) == (
        "(((Field('a') == 1) & ~Field('b').exists()) | (Field('b') != 'x'))"
    )
    assert json_format.MessageToDict((taken("2024") & {"a": 1}).message) == {
        "must": [
            {"field": "image.taken_time", "textRange": {"gte": "2024", "lt": "2025"}},
            {"field": "a", "equals": 1},
        ]
    }
    assert filter_of({}) is None
