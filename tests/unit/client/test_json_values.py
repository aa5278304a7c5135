"""Valid values of `equal` and attributes, and the errors about invalid ones."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from semsearch.errors import InvalidRequest
from semsearch.json_values import struct_of
from semsearch.translate import filter_of


@pytest.mark.parametrize(
    ("equal", "accepted"),
    [
        ({"color": "red"}, ["red"]),
        ({"year": 2019}, [2019]),
        ({"year": np.int64(2019)}, [2019]),
        ({"color": ["red", None, True, 1.5]}, ["red", None, True, 1.5]),
        ({"color": ("red",)}, ["red"]),
        ({"color": {"red"}}, ["red"]),
        ({"n": 2**53}, [2**53]),
    ],
)
def test_equal_takes_a_value_or_several(equal: dict[str, Any], accepted: list[object]) -> None:
    filter_ = filter_of(equal)
    assert filter_ is not None
    assert json_format.MessageToDict(filter_.must[0].any_of) == accepted


@pytest.mark.parametrize(
    ("equal", "problem"),
    [
        ("color=red", "equal must be a dict"),
        ({1: "red"}, "names of attributes are strings"),
        ({"color": {"red": 1}}, r"equal\['color'\] is of the type dict"),
        ({"color": [["red"]]}, r"equal\['color'\] is of the type list"),
        ({"day": datetime.date(2024, 1, 1)}, r"equal\['day'\] is of the type date"),
        ({"color": b"red"}, "bytes"),
        ({"n": math.nan}, "JSON does not have"),
        ({"n": 2**53 + 1}, "would be rounded"),
        ({"n": 10**400}, "would be rounded"),
        ({"name": "\udcff"}, "not Unicode"),
    ],
)
def test_what_is_no_value_is_our_own_error(equal: Any, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        filter_of(equal)


def test_attributes_are_nested_and_errors_name_their_place() -> None:
    attributes = {"a": {"b": [1, "x", None, {"c": True}]}}
    assert json_format.MessageToDict(struct_of(attributes, "attributes")) == attributes
    with pytest.raises(InvalidRequest, match=r"attributes\['a'\]\['b'\] is 9007199254740993"):
        struct_of({"a": {"b": 2**53 + 1}}, "attributes")
