"""Page tokens cannot be altered, or used for another request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semsearch.v1 import search_service_pb2 as pb

from serving.errors import InvalidField, InvalidPageToken
from serving.page_tokens import PageTokens, page_size

TOKENS = PageTokens(lambda: b"k" * 32)


@given(cursor=st.text(), query=st.text(max_size=20))
def test_a_token_returns_its_cursor_for_any_page_size(cursor: str, query: str) -> None:
    token = TOKENS.encode(cursor, pb.SearchByTextRequest(query=query, page_size=3))
    assert TOKENS.decode(token, pb.SearchByTextRequest(query=query, page_size=7, page_token=token)) == cursor


@given(position=st.integers(min_value=0), replacement=st.characters(codec="ascii"))
def test_an_altered_token_is_refused(position: int, replacement: str) -> None:
    request = pb.SearchByTextRequest(query="dog")
    token = TOKENS.encode("20", request)
    at = position % len(token)
    altered = token[:at] + replacement + token[at + 1 :]
    # A text that decodes to the same bytes is the same token: base64 has two alphabets, and unused bits at its end.
    if altered.translate(str.maketrans("+/", "-_")) == token:
        return
    try:
        assert TOKENS.decode(altered, request) == "20"
        assert at == len(token) - 1
    except InvalidPageToken:
        pass


def test_a_token_of_another_request_is_refused() -> None:
    token = TOKENS.encode("20", pb.SearchByTextRequest(query="dog"))
    with pytest.raises(InvalidPageToken):
        TOKENS.decode(token, pb.SearchByTextRequest(query="cat"))


def test_another_key_refuses_the_token() -> None:
    request = pb.SearchByTextRequest(query="dog")
    with pytest.raises(InvalidPageToken):
        PageTokens(lambda: b"x" * 32).decode(TOKENS.encode("20", request), request)


def test_page_sizes_follow_aip_158() -> None:
    assert page_size(0, 20, 1000) == 20
    assert page_size(7, 20, 1000) == 7
    assert page_size(10**6, 20, 1000) == 1000
    with pytest.raises(InvalidField):
        page_size(-1, 20, 1000)
