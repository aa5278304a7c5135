"""Names of collections: for callers, and in the index service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.backends.refusals import IndexNotFound, ModelMismatch
from gateway.errors import CollectionNotFound, CollectionOfOtherModel, InvalidId
from serving.callers import MAX_COLLECTION_CHARACTERS, is_collection_id

DEFAULT_COLLECTION = "gallery"
ALIAS_PREFIX = "images-"


def require_collection_id(collection: str, field: str) -> str:
    """Return a collection's id if it is valid; raises `InvalidId`."""
    if not is_collection_id(collection):
        shown = collection if len(collection) <= 80 else f"{collection[:80]}…"
        raise InvalidId(
            field,
            f"a collection's id has 1 to {MAX_COLLECTION_CHARACTERS} lower-case letters, digits and hyphens and begins "
            f"with a letter; it was {shown!r}.",
        )
    return collection


def alias_of(collection: str) -> str:
    """Return a collection's alias in the index service."""
    return ALIAS_PREFIX + collection


@contextmanager
def errors_of(collection: str) -> Iterator[None]:
    """Turn errors about an index into errors about its collection."""
    try:
        yield
    except IndexNotFound as error:
        raise CollectionNotFound(collection) from error
    except ModelMismatch as error:
        raise CollectionOfOtherModel(collection) from error
