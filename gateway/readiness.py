"""Which needs of the gateway's services are met."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator


class Need(enum.Enum):
    """A dependency of a service."""

    EMBEDDER = enum.auto()
    INDEX = enum.auto()
    GALLERY = enum.auto()  # the default collection
    WORDS = enum.auto()  # the words index, filled
    PAGE_KEY = enum.auto()  # the key of page tokens


class Readiness:
    """Tracks which needs are met, and reports changes."""

    def __init__(self) -> None:
        self._met: set[Need] = set()
        self._changed = asyncio.Condition()

    async def set(self, need: Need, met: bool) -> None:
        """Record whether a need is met."""
        async with self._changed:
            if met:
                self._met.add(need)
            else:
                self._met.discard(need)
            self._changed.notify_all()

    async def watch(self, *needs: Need) -> AsyncIterator[bool]:
        """Yield whether all needs are met, now and after each change."""
        last: bool | None = None
        while True:
            async with self._changed:
                while (now := self._met.issuperset(needs)) == last:
                    await self._changed.wait()
            last = now
            yield now
