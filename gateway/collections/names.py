"""Names of collections: for callers, and in the index service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.backends.refusals import IndexNotFound, ModelMismatch
from gateway.errors import CollectionNotFound, CollectionOfOtherModel, InvalidId

DEFAULT_COLLECTION = "gallery"
ALIAS_PREFIX = "images-"
MAX_COLLECTION_CHARACTERS = 63
_ID = re.compile(rf"[a-z][a-z0-9-]{{0,{MAX_COLLECTION_CHARACTERS - 1}}}")


def require_collection_id(collection: str, field: str) -> str:
    """Return a collection's id if it is valid; raises `InvalidId`."""
    if not _ID.fullmatch(collection):
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
