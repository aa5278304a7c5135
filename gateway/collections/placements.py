"""The index of each collection's vectors, and the model that made them.

A query is embedded with the model of its collection, so every search needs it first. Asking the index would add a third
call to two, so placements are cached. They become stale when a collection is emptied, renamed or switched to another
model, which only the owner does (see `gateway.lease`). So the placements that the owner looked up are exact, with two
exceptions: a lookup that was under way during a move is not remembered, and after a move that failed, which may yet
take effect, none is exact until the next one succeeds.

In another process they may be stale. A read that names the index would not notice that the alias has left it, so
`using` looks up the placement again unless it is exact. A search that names the alias and the model needs no exact one:
the index service compares the model with its index's, and `using_alias` then looks it up again and retries once.

Writes name a collection's alias, never the index of a placement: a write to an index that its alias has left is
lost. Reads that must see one version of a collection over several calls name the index.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakValueDictionary

from gateway.backends.refusals import ModelNotFound
from gateway.backends.vector_index import VectorIndex
from gateway.collections.names import alias_of, errors_of
from gateway.errors import CollectionNotFound, CollectionOfOtherModel
from gateway.lease import Lease, SoleProcess
from gateway.recently_used import RecentlyUsed

MAX_REMEMBERED = 1_000

T = TypeVar("T")


@dataclass(frozen=True)
class Placement:
    """The index that a collection's alias named when it was looked up, and the model of its vectors."""

    index: str
    model_id: str


@dataclass(frozen=True)
class _Known:
    """A cached placement; it is exact if this process, as the owner, would have moved it since."""

    placement: Placement
    is_exact: bool


class _Lookups:
    """The lookups of a collection that are under way, and may be remembered unless it is forgotten before they end."""


class Placements:
    """Caches the placements of the most recently used collections, at most `MAX_REMEMBERED`."""

    def __init__(self, index: VectorIndex, lease: Lease | None = None) -> None:
        self._index = index
        self._lease = lease or SoleProcess()
        self._known: RecentlyUsed[str, _Known] = RecentlyUsed(MAX_REMEMBERED)
        self._lookups: WeakValueDictionary[str, _Lookups] = WeakValueDictionary()
        self._in_doubt: set[str] = set()

    async def of(self, collection: str) -> Placement:
        """Return a collection's placement, possibly cached; raises `CollectionNotFound`."""
        known = self._known.get(collection)
        if known is None:
            is_exact = self._lease.is_held and collection not in self._in_doubt
            lookups = self._lookups.setdefault(collection, _Lookups())
            with errors_of(collection):
                info = await self._index.get(alias_of(collection))
            known = _Known(Placement(info.name, info.model_id), is_exact)
            if self._lookups.get(collection) is lookups:
                self._known.put(collection, known)
        return known.placement

    def forget(self, collection: str) -> None:
        """Drop a collection's cached placement, and let lookups that are under way cache none."""
        self._known.forget(collection)
        self._lookups.pop(collection, None)

    @contextmanager
    def moving(self, collection: str) -> Iterator[None]:
        """Enclose the calls that move or remove a collection's alias, however they end."""
        self._in_doubt.add(collection)
        try:
            yield
            self._in_doubt.discard(collection)
        finally:
            self.forget(collection)

    async def using(self, collection: str, work: Callable[[Placement], Awaitable[T]]) -> T:
        """Run work with a collection's placement, and retry once with a fresh one if it is stale.

        Raises:
            CollectionNotFound: The collection does not exist.
        """
        known = self._known.get(collection)
        if known is not None and not (known.is_exact and self._lease.is_held):
            self.forget(collection)
        return await self.using_alias(collection, work)

    async def using_alias(self, collection: str, work: Callable[[Placement], Awaitable[T]]) -> T:
        """Do the same for work that names the alias and the placement's model in each call to the index."""
        try:
            return await work(await self.of(collection))
        except (CollectionNotFound, CollectionOfOtherModel, ModelNotFound):
            self.forget(collection)
        return await work(await self.of(collection))
