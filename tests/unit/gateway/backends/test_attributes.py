from __future__ import annotations

import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.attributes import JsonValue, from_struct, from_text, to_struct, to_text
from index_service.attributes import is_canonical

JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON))
def test_attributes_convert_as_protobufs_own_converter_does(attributes: dict[str, JsonValue]) -> None:
    struct = to_struct(attributes)
    assert struct == json_format.ParseDict(attributes, struct_pb2.Struct())
    assert from_struct(struct) == json_format.MessageToDict(struct) == attributes


@given(st.dictionaries(st.text(), JSON))
def test_the_text_of_attributes_is_what_the_index_takes(attributes: dict[str, JsonValue]) -> None:
    text = to_text(from_struct(to_struct(attributes)))
    assert is_canonical(text)
    assert from_text(text) == attributes


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have_are_refused(number: float) -> None:
    struct = struct_pb2.Struct()
    struct.fields["deep"].struct_value.fields["x"].list_value.values.add().number_value = number
    with pytest.raises(ValueError, match="not a number"):
        from_struct(struct)
