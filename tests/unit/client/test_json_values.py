"""Valid values of attributes, and the errors about invalid ones."""

from __future__ import annotations

import pytest
from google.protobuf import json_format
from semsearch.errors import InvalidRequest
from semsearch.json_values import struct_of


def test_attributes_are_nested_and_errors_name_their_place() -> None:
    attributes = {"a": {"b": [1, "x", None, {"c": True}]}}
    assert json_format.MessageToDict(struct_of(attributes, "attributes")) == attributes
    with pytest.raises(InvalidRequest, match=r"attributes\['a'\]\['b'\] is 9007199254740993"):
        struct_of({"a": {"b": 2**53 + 1}}, "attributes")
