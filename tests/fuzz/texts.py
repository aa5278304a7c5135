"""Targets that read text: queries, filters as messages and as dicts, and page tokens."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from functools import cache

import numpy as np
from semsearch.errors import InvalidRequest
from semsearch.filters import filter_of
from semsearch.v1 import query_pb2, search_service_pb2

from gateway.backends.vector_index import Position
from gateway.search.cursors import Cursor, TimeCursor
from index_service.api.translate.filters import to_filter
from index_service.attributes import JsonValue, to_json
from index_service.errors import InvalidFilter
from index_service.filters import to_sql
from model.errors import QueryError
from model.text.embedding import embed_terms
from model.text.query import parse
from model.text.vocabulary import Vocabulary
from serving.errors import InvalidPageToken
from serving.page_tokens import PageTokens
from tests.fuzz.made_messages import ByteChoices, make
from tests.fuzz.target import Target
from tests.unit.index_service.filter_oracle import passes
from tests.unit.model.made_up_vocabulary import made_up

_ATTRIBUTES: tuple[dict[str, JsonValue], ...] = (
    {},
    {"a": 1, "b": {"c": ["x", 2.5, None]}, "d": True},
    {"a": "2024-06-05", "b": "", "d": [1, "1", False]},
    {"a": None, "it's": {"$": 0}, "[0]": ["ä"]},
)


def embed_query(content: bytes) -> None:
    """Turn a query into a vector of length 1, or refuse it."""
    try:
        found = embed_terms(parse(content.decode("utf-8", "replace")), _vocabulary())
    except QueryError:
        return
    assert abs(float(np.linalg.norm(found.vector)) - 1) < 1e-3


@cache
def _vocabulary() -> Vocabulary:
    return made_up(("the", "dog", "dogs", "sports car", "t-shirt", "new york", "café", "red", "sofa"))


def select_by_filter(content: bytes) -> None:
    """Translate a filter to SQL; SQLite must select the same rows as the meaning of filters in plain Python."""
    choices = ByteChoices(content)
    message = make(query_pb2.Filter.DESCRIPTOR, choices, lambda field: _PATHS if field.name == "field" else [])
    try:
        condition = to_filter(message)  # type: ignore[arg-type]
    except InvalidFilter:
        return
    if condition is None:
        return
    sql = to_sql(condition)
    rows = _items().execute(f"SELECT row FROM items WHERE {sql.text} ORDER BY row", sql.parameters).fetchall()
    assert [row for (row,) in rows] == [
        row for row, attributes in enumerate(_ATTRIBUTES) if passes(condition, attributes)
    ]


_PATHS = ["a", "b.c", "b", "d", "`it's`.$", "`[0]`", "e"]


@cache
def _items() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE items (row INTEGER PRIMARY KEY, attributes TEXT NOT NULL)")
    connection.executemany(
        "INSERT INTO items VALUES (?, ?)", [(n, to_json(each)) for n, each in enumerate(_ATTRIBUTES)]
    )
    return connection


def read_where(content: bytes) -> None:
    """Turn a filter as the client takes it into a message that the index service accepts, or refuse it."""
    try:
        where = json.loads(content)
    except (ValueError, RecursionError):
        return
    try:
        message = filter_of(where)
    except InvalidRequest:
        return
    if message is not None:
        try:
            to_filter(message)
        except InvalidFilter:
            return


def decode_page_token(content: bytes) -> None:
    """Read a page token: as it came, and with a good signature over anything."""
    text = content.decode("utf-8", "replace")
    request = search_service_pb2.SearchByTextRequest(query="dog")
    tokens = PageTokens(lambda: b"k" * 32)
    with suppress(InvalidPageToken):
        tokens.decode(text, request)
    signed = tokens.decode(tokens.encode(text, request), request)
    assert signed == text
    for kind in (Cursor, TimeCursor):
        with suppress(ValueError):
            kind.from_text(text)


def _tokens() -> list[bytes]:
    vector = np.ones(4, np.float32)
    place = Position("0123", 0.5, 3, 1)
    cursors = [Cursor(vector, place).to_text(), Cursor(vector, place, place).to_text()]
    cursors.append(TimeCursor(vector, "0123", "token").to_text())
    token = PageTokens(lambda: b"k" * 32).encode(cursors[0], search_service_pb2.SearchByTextRequest(query="dog"))
    return [text.encode() for text in (*cursors, token)]


TARGETS = {
    "query": Target(
        embed_query,
        lambda: [b'dog NOT "sports car"^2', b"new york -dogs red^0.5", b"t-shirt without sofa", "café".encode()],
        max_bytes=512,
    ),
    "filter": Target(
        select_by_filter, lambda: [bytes(range(1, 200)), b"\x01\x02" * 60, b"\x01\x01\x01\x00\x01\x03" * 9]
    ),
    "where": Target(
        read_where,
        lambda: [
            b'{"a": 1, "b.c": ["x", 2.5, null]}',
            b'{"must": [{"a": {"gte": 1, "lt": 2}}], "must_not": [{"d": {"exists": true}}]}',
        ],
    ),
    "page-token": Target(decode_page_token, _tokens),
}
