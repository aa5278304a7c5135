"""The index of each collection's vectors, and the model that made them.

A query is embedded with the model of its collection, so every search needs it first. Asking the index would add a third
call to two, so placements are cached. They become stale when a collection is emptied or switched to another model, by
this process or another. This is safe: the index service compares the model of every vector with that of its index, and
a dropped index is not found. `using` then looks up the placement again and retries once.

Writes name a collection's alias, never the index of a placement: a write to an index that its alias has left is
lost. Reads that must see one version of a collection over several calls name the index.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.backends.vector_index import VectorIndex
from gateway.collections.names import alias_of, errors_of
from gateway.errors import CollectionNotFound, CollectionOfOtherModel, ModelNotFound
from gateway.recently_used import RecentlyUsed

MAX_REMEMBERED = 1_000

T = TypeVar("T")


@dataclass(frozen=True)
class Placement:
    """The index that a collection's alias named when it was looked up, and the model of its vectors."""

    index: str
    model_id: str


class Placements:
    """Caches the placements of the most recently used collections, at most `MAX_REMEMBERED`."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._known: RecentlyUsed[str, Placement] = RecentlyUsed(MAX_REMEMBERED)

    async def of(self, collection: str) -> Placement:
        """Return a collection's placement, possibly cached; raises `CollectionNotFound`."""
        placement = self._known.get(collection)
        if placement is None:
            with errors_of(collection):
                info = await self._index.get(alias_of(collection))
            placement = Placement(info.name, info.model_id)
            self._known.put(collection, placement)
        return placement

    def forget(self, collection: str) -> None:
        """Drop a collection's cached placement."""
        self._known.forget(collection)

    async def using(self, collection: str, work: Callable[[Placement], Awaitable[T]]) -> T:
        """Run work with a collection's placement, and retry once with a fresh one if it is stale.

        Raises:
            CollectionNotFound: The collection does not exist.
        """
        try:
            return await work(await self.of(collection))
        except (CollectionNotFound, CollectionOfOtherModel, ModelNotFound):
            self.forget(collection)
        return await work(await self.of(collection))
