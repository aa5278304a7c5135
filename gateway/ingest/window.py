"""A limit on how much of a stream is in progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from serving.byte_budget import ByteShare


class IngestWindow:
    """Counts a stream's images until they are answered, and their bytes until they are stored.

    Invariants:
    - At most `max_images` images and `max_bytes` bytes are inside for each of the embedders that work, and never more
      than `pending_bytes`; one image that is larger than the whole window may be inside alone.
    - The bytes are the stream's share of those of all streams. They are given back whether or not the caller reads the
      answers, so that no caller can keep others waiting.
    """

    def __init__(
        self, max_images: int, max_bytes: int, pending_bytes: int, embedders: Callable[[], int], share: ByteShare
    ) -> None:
        self._max_images = max_images
        self._max_bytes = max_bytes
        self._pending_bytes = pending_bytes
        self._embedders = embedders
        self._share = share
        self._images = 0
        self._changed = asyncio.Condition()

    async def enter(self, size: int) -> None:
        """Wait until an image of `size` bytes fits, and count it; one caller at a time."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_room(size))
        await self._share.take(size)
        self._images += 1

    async def store(self, size: int) -> None:
        """Give back the bytes of images that were stored."""
        self._share.give_back(size)
        await self._notify()

    async def answer(self, images: int) -> None:
        """Remove answered images."""
        self._images -= images
        await self._notify()

    def _has_room(self, size: int) -> bool:
        taken, embedders = self._share.taken, self._embedders()
        max_bytes = min(self._max_bytes * embedders, self._pending_bytes)
        return self._images < self._max_images * embedders and (not taken or taken + size <= max_bytes)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
