"""Filters for Weaviate: by tokens, each the digest of a path, or of a path and a value there.

An item has a token for each path in its attributes, and one for each scalar at a path or in a list there. So existence,
equality and everything made of them are answered by Weaviate exactly, with types respected. A range is not: Weaviate
finds the items that have its path, a superset, and the items found are compared here (`matching`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from weaviate.classes.query import Filter as Query
from weaviate.collections.classes.filters import _Filters

from index_service.attributes import JsonValue, from_json, to_json
from index_service.filters import Condition, Exists, Filter, OneOf, Within

TOKENS = "tokens"
_DIGEST_BYTES = 12
Names: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Cover:
    """Items that include all that pass a condition; `query` None means all items. `exact`: no others."""

    query: _Filters | None
    exact: bool


EVERYTHING = Cover(None, True)


def tokens(attributes: str) -> list[str]:
    """Return the tokens of an item's attributes."""
    return list(dict.fromkeys(_tokens(from_json(attributes), ())))


def cover(condition: Condition | None) -> Cover:
    """Return what Weaviate should find for a condition."""
    match condition:
        case None:
            return EVERYTHING
        case OneOf(path, values):
            return _having([_token(path.names, value) for value in values])
        case Exists(path, present):
            found = _having([_token(path.names)])
            return found if present else _without(found)
        case Within(path):
            return Cover(_having([_token(path.names)]).query, False)
        case Filter():
            return _filter(condition)


def _filter(condition: Filter) -> Cover:
    parts = [cover(each) for each in condition.must]
    parts += [_without(cover(each)) for each in condition.must_not]
    if condition.should:
        parts.append(_either([cover(each) for each in condition.should]))
    queries = [each.query for each in parts if each.query is not None]
    return Cover(Query.all_of(queries) if queries else None, all(each.exact for each in parts))


def _either(parts: Sequence[Cover]) -> Cover:
    exact = all(each.exact for each in parts)
    queries = [each.query for each in parts if each.query is not None]
    return Cover(Query.any_of(queries) if len(queries) == len(parts) else None, exact)


def _without(found: Cover) -> Cover:
    """Return a cover of the items that do not pass."""
    if not found.exact:
        return Cover(None, False)
    if found.query is None:
        return _having([])
    # To Weaviate, NOT also means the numbers of objects that were deleted or written again, and it counts them.
    return Cover(Query.all_of([Query.by_property("row").greater_than(0), Query.not_(found.query)]), True)


def _having(wanted: Sequence[str]) -> Cover:
    """Return the items that have one of the tokens."""
    # No item has an empty token, and Weaviate wants at least one.
    return Cover(Query.by_property(TOKENS).contains_any(list(wanted) or ["-"]), True)


def _tokens(value: JsonValue, names: Names) -> Iterator[str]:
    if names:
        yield _token(names)
    match value:
        case Mapping():
            for name, inner in value.items():
                yield from _tokens(inner, (*names, name))
        case list():
            yield from (_token(names, each) for each in value if not isinstance(each, dict | list))
        case _:
            yield _token(names, value)


def _token(names: Names, *value: JsonValue) -> str:
    text = to_json([list(names), *value])
    # An attribute's text may have half a surrogate pair, which is not UTF-8.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
