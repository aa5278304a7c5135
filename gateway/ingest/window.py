"""How much of a stream may be on its way at once."""

from __future__ import annotations

import asyncio


class IngestWindow:
    """Counts images and bytes between their arrival and their answer.

    Invariant: at most `max_images` images and `max_bytes` bytes are inside; one image that is larger than the whole
    window may be inside alone.
    """

    def __init__(self, max_images: int, max_bytes: int) -> None:
        self._max_images = max_images
        self._max_bytes = max_bytes
        self._images = 0
        self._bytes = 0
        self._changed = asyncio.Condition()

    async def enter(self, size: int) -> None:
        """Waits until an image of `size` bytes fits, and counts it."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: not self._images or (self._images < self._max_images and self._bytes + size <= self._max_bytes)
            )
            self._images += 1
            self._bytes += size

    async def leave(self, images: int, size: int) -> None:
        """Takes out images that were answered, with their bytes."""
        async with self._changed:
            self._images -= images
            self._bytes -= size
            self._changed.notify_all()
