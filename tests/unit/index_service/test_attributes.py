import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_service.attributes import AttributePath, canonical_number, from_json, select, to_json
from index_service.errors import InvalidAttributePath


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_has_one_text_and_keeps_its_value(number: float) -> None:
    canonical = canonical_number(number)
    assert canonical == number
    assert canonical_number(float(json.loads(to_json(canonical)))) == canonical
    assert to_json(canonical_number(float(canonical))) == to_json(canonical)


def test_minus_zero_is_zero() -> None:
    assert to_json(canonical_number(-0.0)) == to_json(canonical_number(0.0)) == "0"


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", 'a"b', "a\\b", "a\nb", "a\x00", "x" * 257])
def test_a_path_that_no_attribute_can_have_is_refused(text: str) -> None:
    with pytest.raises(InvalidAttributePath):
        AttributePath.parse(text)


def test_a_path_reads_from_the_outside_in() -> None:
    assert AttributePath.parse("camera.model").names == ("camera", "model")


def test_a_selection_keeps_the_nesting_and_omits_absent_values() -> None:
    attributes = from_json('{"camera":{"model":"X","lens":{"f":2}},"tags":["a"],"rank":1}')
    paths = [AttributePath.parse(text) for text in ("camera.model", "camera.lens.f", "tags", "rank.x", "nothing")]
    assert select(attributes, paths) == {"camera": {"model": "X", "lens": {"f": 2}}, "tags": ["a"]}
