"""Coordinate writes to collections: concurrent, unless a collection is held.

Moving a collection to another index must lose no write: the mover follows the ids that are written while it copies,
then holds the collection, copies the last of them, moves the alias, and releases the hold. Reads never wait.

Invariants:
- While a collection is held, no write to it is in progress, and none begins.
- Followers receive an id when its write ends, however it ends: a failed write may have been applied.
- A write that waits for a hold to end has not begun. Writes that arrive after a hold is requested wait, so that a
  stream of writes cannot starve a hold.

This covers the writes of one process, which makes all of them: the owner (see `gateway.lease`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager


class CollectionWrites:
    """Admits, follows and holds writes."""

    def __init__(self) -> None:
        self._in_progress: Counter[str] = Counter()
        self._held: set[str] = set()
        self._followers: dict[str, list[set[str]]] = {}
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def writing(self, collection: str, ids: Iterable[str]) -> AsyncIterator[None]:
        """Enclose a write to a collection that adds, changes or deletes the images of these ids."""
        await self._until(lambda: collection not in self._held)
        self._in_progress[collection] += 1
        try:
            yield
        finally:
            for follower in self._followers.get(collection, ()):
                follower.update(ids)
            self._in_progress[collection] -= 1
            if not self._in_progress[collection]:
                del self._in_progress[collection]
                self._notify()

    @asynccontextmanager
    async def held(self, collection: str) -> AsyncIterator[None]:
        """Wait for the writes in progress, and block others until the `with` block ends."""
        await self._until(lambda: collection not in self._held)
        self._held.add(collection)
        try:
            await self._until(lambda: not self._in_progress[collection])
            yield
        finally:
            self._held.discard(collection)
            self._notify()

    @contextmanager
    def followed(self, collection: str) -> Iterator[set[str]]:
        """Yield a set that collects the ids written during the `with` block."""
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

    def _notify(self) -> None:
        """Wake all waiters.

        A Condition was rejected: its notify needs an await, which a cancelled write must not do.
        """
        self._changed.set()
        self._changed = asyncio.Event()
