"""Coordinate writes to collections: concurrent, unless they are about one image or a collection is held.

A write reads what it changes first. So that two of them do not undo each other, those about one image take turns.
Versions of items that the index compares were rejected: one process makes all writes, so locks are enough.

Moving a collection to another index must lose no write: the mover follows the ids that are written while it copies,
then holds the collection, copies the last of them, moves the alias, and releases the hold. Reads never wait.

Invariants:
- At most one write to an image is in progress: what it reads there stays so until it ends.
- While a collection is held, no write to it is in progress, and none begins.
- Followers receive an id when its write ends, however it ends: a failed write may have been applied.
- A write that waits for a hold to end has not begun. Writes that arrive after a hold is requested wait, so that a
  stream of writes cannot starve a hold.

This covers the writes of one process, which makes all of them: the owner (see `gateway.lease`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from weakref import WeakValueDictionary


class CollectionWrites:
    """Admits, follows and holds writes."""

    def __init__(self) -> None:
        self._in_progress: Counter[str] = Counter()
        self._held: set[str] = set()
        self._followers: dict[str, list[set[str]]] = {}
        self._changed = asyncio.Event()
        self._images: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def writing(self, collection: str, ids: Collection[str]) -> AsyncIterator[None]:
        """Enclose a write to a collection that adds, changes or deletes the images of these ids, and its reads.

        The `with` block must not embed anything, because other writes to these images wait for it.
        """
        await self._until(lambda: collection not in self._held)
        self._in_progress[collection] += 1
        try:
            async with AsyncExitStack() as images:
                for image_id in sorted(set(ids)):  # in one order, so that no two writes wait for each other
                    lock = self._images.setdefault((collection, image_id), asyncio.Lock())
                    await images.enter_async_context(lock)
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
