"""Filters: the public message, passed to the index with its paths rewritten to where attributes lie there.

A stored image's attributes are `{"user": {…the caller's…}, "image": {…the gateway's…}}`. A caller writes
`camera.model` for an attribute of their own, and `image.width` (any name in `IMAGE_FIELDS`) for one of the gateway's.
A caller's own attribute with exactly such a name cannot be filtered by. The index checks the rest of a filter.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.struct_pb2 import ListValue, Value
from semsearch.v1.query_pb2 import Condition, Filter

IMAGE_FIELDS = frozenset(
    {
        "sha256",
        "media_type",
        "size_bytes",
        "width",
        "height",
        "create_time",
        "taken_time",
        "camera",
        "lens",
        "latitude",
        "longitude",
        "orientation",
        "perceptual_hash",
        "original_at",
        "stored_bytes",
    }
)


def in_store(filter_: Filter) -> Filter:
    """Return a caller's filter with its fields rewritten to their paths in the index."""
    moved = Filter()
    moved.CopyFrom(filter_)
    _move(moved)
    return moved


def is_true(field: str) -> Filter:
    """Return the filter for items whose attribute at a path is true."""
    return Filter(must=[Condition(field=field, equals=Value(bool_value=True))])


def is_one_of(field: str, texts: Iterable[str]) -> Filter:
    """Return the filter for items whose attribute at a path is one of `texts`."""
    values = ListValue(values=[Value(string_value=text) for text in texts])
    return Filter(must=[Condition(field=field, any_of=values)])


def _move(filter_: Filter) -> None:
    for condition in (*filter_.must, *filter_.should, *filter_.must_not):
        if condition.HasField("nested"):
            _move(condition.nested)
        elif condition.field:
            group, _, name = condition.field.partition(".")
            if group != "image" or name not in IMAGE_FIELDS:
                condition.field = f"user.{condition.field}"
