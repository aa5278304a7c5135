"""Where each collection's vectors lie, and which model made them.

A query is embedded with the model of its collection, so every search needs to know it first. Asking the index would add
a third call to two; so what was learnt is remembered, and may be out of date: a collection is emptied, or is switched
to another model, by this process or by another. Nothing wrong comes of it, because the index service compares the model
of every vector with that of its index, and a dropped index is not found: `using` then looks again and does the work
once more.

Writes name a collection's alias, never the index of a placement: what is written to an index that its alias has left
is lost. Reads that must see one version of a collection over several calls name the index.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.backends.vector_index import VectorIndex
from gateway.collections.names import alias_of, errors_of
from gateway.errors import CollectionNotFound, CollectionOfOtherModel, ModelNotFound

MAX_REMEMBERED = 1_000

T = TypeVar("T")


@dataclass(frozen=True)
class Placement:
    """The index that a collection's alias named when it was looked up, and the model of its vectors."""

    index: str
    model_id: str


class Placements:
    """Remembers the placements of the collections that were used last, `MAX_REMEMBERED` at most."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._known: dict[str, Placement] = {}

    async def of(self, collection: str) -> Placement:
        """Return a collection's placement, as it was when it was last looked up; raises `CollectionNotFound`."""
        placement = self._known.pop(collection, None)
        if placement is None:
            with errors_of(collection):
                info = await self._index.get(alias_of(collection))
            placement = Placement(info.name, info.model_id)
        self._known[collection] = placement  # at the end: the first is the one that was not used for longest
        if len(self._known) > MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        return placement

    def forget(self, collection: str) -> None:
        """Has the collection looked up when it is used next."""
        self._known.pop(collection, None)

    async def using(self, collection: str, work: Callable[[Placement], Awaitable[T]]) -> T:
        """Do work with a collection's placement, and once more with a new one where it proves to be out of date.

        Raises:
            CollectionNotFound: there is no such collection.
        """
        try:
            return await work(await self.of(collection))
        except (CollectionNotFound, CollectionOfOtherModel, ModelNotFound):
            self.forget(collection)
        return await work(await self.of(collection))
