"""Requests made from the descriptors, right and wrong: no answer is an error of ours, and each error has a reason."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from semsearch.v1 import gallery_service_pb2, search_service_pb2

from tests.fuzz.connect import send

JSON = [(b"content-type", b"application/json")]
METHODS = [
    method
    for file in (search_service_pb2, gallery_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if not method.client_streaming and not method.server_streaming
]
NUMBERS = st.one_of(st.integers(-(2**65), 2**65), st.floats(), st.sampled_from([0, 1, -1, 0.5, "NaN", "Infinity", "1"]))
# Names that exist, hostile ones, and any.
TEXTS = st.one_of(
    st.sampled_from(["gallery", "id-0", "red", "red -blue^2", "image.width", "attributes"]),
    st.sampled_from(["../../etc/passwd", "..", "%2e%2e%2f", "a\x00b", "\x1b[2J", "\u202e", "'; DROP TABLE items; --"]),
    st.text(max_size=30),
    st.integers(1, 20_000).map(lambda length: "x" * length),
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)


@cache
def documents(kind: Descriptor) -> st.SearchStrategy[Any]:
    """Return a strategy for the JSON of messages; one value in five is of another type."""
    if kind.full_name.startswith("google.protobuf."):
        return ANYTHING
    return st.fixed_dictionaries({}, optional={field.json_name: values(field) for field in kind.fields})


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_MESSAGE:
            right = st.deferred(lambda: documents(field.message_type))
        case FieldDescriptor.CPPTYPE_STRING:
            right = TEXTS
        case FieldDescriptor.CPPTYPE_BOOL:
            right = st.booleans()
        case FieldDescriptor.CPPTYPE_ENUM:
            right = st.sampled_from([*(value.name for value in field.enum_type.values), 1, 99])
        case _:
            right = NUMBERS
    if field.is_repeated:
        right = st.lists(right, max_size=2)
    return st.one_of(right, right, right, right, ANYTHING)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_no_document_is_answered_as_an_error_of_ours(method: MethodDescriptor) -> None:
    path = f"/{method.containing_service.full_name}/{method.name}"

    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    @given(document=documents(method.input_type))
    def ask(document: object) -> None:
        status, body = send("POST", path, b"", JSON, json.dumps(document).encode())
        assert status in (200, 400, 404, 409, 429), body
        answer = json.loads(body)
        if status != 200:
            assert any(detail["debug"].get("reason") for detail in answer["details"]), answer

    ask()


@settings(max_examples=25)
@given(path=TEXTS, query=st.binary(max_size=40), body=st.binary(max_size=60))
def test_no_path_is_answered_as_an_error_of_ours_or_with_a_file_of_the_suite(
    path: str, query: bytes, body: bytes
) -> None:
    for before in ("/", "/semsearch.v1.SearchService/", "/collections/gallery/images/", "/assets/"):
        for method in ("GET", "POST"):
            status, answer = send(method, before + path, query, JSON, body)
            assert status not in (0, 500), (before + path, answer)
            assert b"root:" not in answer


def test_the_application_still_answers() -> None:
    status, _ = send("POST", "/semsearch.v1.SearchService/SearchByText", b"", JSON, b'{"query": "red"}')
    assert status == 200
