"""Writes to collections: side by side, unless somebody needs a collection to stand still.

Whoever moves a collection to another index must lose no write: it follows the ids that are written while it copies,
then holds the collection, copies the last of them, moves the alias, and lets go. Reads know nothing of this and never
wait.

Invariants:
- While a collection is held, no write to it is under way, and none begins.
- An id is told to followers when its write has ended, however it ended: a write that failed may have been done.
- A write that waits for a hold to end has not begun; one that comes after the wish to hold waits, so that a stream of
  writes cannot keep a hold from ever beginning.

This holds among the writes of one process. See docs/decisions/0006-switching-models.md for what that asks of several.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager


class CollectionWrites:
    """Let writes pass, follows them, and holds them."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._held: set[str] = set()
        self._followers: dict[str, list[set[str]]] = {}
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def writing(self, collection: str, ids: Iterable[str]) -> AsyncIterator[None]:
        """Is around each write to a collection that adds, changes or deletes images of these ids."""
        await self._until(lambda: collection not in self._held)
        self._under_way[collection] += 1
        try:
            yield
        finally:
            for follower in self._followers.get(collection, ()):
                follower.update(ids)
            self._under_way[collection] -= 1
            if not self._under_way[collection]:
                del self._under_way[collection]
                self._tell()

    @asynccontextmanager
    async def held(self, collection: str) -> AsyncIterator[None]:
        """Wait for the writes that are under way, and keeps others waiting until the block is left."""
        await self._until(lambda: collection not in self._held)
        self._held.add(collection)
        try:
            await self._until(lambda: not self._under_way[collection])
            yield
        finally:
            self._held.discard(collection)
            self._tell()

    @contextmanager
    def followed(self, collection: str) -> Iterator[set[str]]:
        """Return a set to which the ids are added that are written from now on, as long as the block lasts."""
        ids: set[str] = set()
        self._followers.setdefault(collection, []).append(ids)
        try:
            yield ids
        finally:
            followers = self._followers[collection]
            followers[:] = [each for each in followers if each is not ids]
            if not followers:
                del self._followers[collection]

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    def _tell(self) -> None:
        """Wake all who wait.

        A Condition was rejected: to notify is to await there, and a write that ends by cancellation must not.
        """
        self._changed.set()
        self._changed = asyncio.Event()
