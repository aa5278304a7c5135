"""Which of the things that the gateway's services need are there."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator


class Need(enum.Enum):
    """A thing that a service may need."""

    EMBEDDER = enum.auto()
    INDEX = enum.auto()
    GALLERY = enum.auto()  # the default collection
    WORDS = enum.auto()  # the words index, filled


class Readiness:
    """Knows what is there, and tells when it changes."""

    def __init__(self) -> None:
        self._there: set[Need] = set()
        self._changed = asyncio.Condition()

    async def set(self, need: Need, there: bool) -> None:
        """Return whether something is there."""
        async with self._changed:
            if there:
                self._there.add(need)
            else:
                self._there.discard(need)
            self._changed.notify_all()

    async def watch(self, *needs: Need) -> AsyncIterator[bool]:
        """Yield whether all needs are there: now, and whenever that changes."""
        last: bool | None = None
        while True:
            async with self._changed:
                while (now := self._there.issuperset(needs)) == last:
                    await self._changed.wait()
            last = now
            yield now
