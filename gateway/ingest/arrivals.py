"""The images of a stream that were read and wait to be planned, and how they become batches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from gateway.ingest.plan import Upload


class Arrivals:
    """Forms batches without timers.

    A batch is whatever is waiting when the next stage has little to do. While it has enough, a batch begins only if it
    would be full, and `may_work_ahead`. Otherwise batches would become small, and each is a commit of the index.

    Its bound is the window of the stream, which counts each image before it arrives.
    """

    def __init__(
        self, batch_images: int, batch_bytes: int, is_short: Callable[[], bool], may_work_ahead: Callable[[], bool]
    ) -> None:
        self._batch_images = batch_images
        self._batch_bytes = batch_bytes
        self._is_short = is_short
        self._may_work_ahead = may_work_ahead
        self._waiting: deque[Upload] = deque()
        self._bytes = 0
        self._ended = False
        self._changed = asyncio.Event()

    def put(self, upload: Upload) -> None:
        """Add an image."""
        self._waiting.append(upload)
        self._bytes += len(upload.content)
        self._changed.set()

    def end(self) -> None:
        """Record that no more will come."""
        self._ended = True
        self._changed.set()

    def reconsider(self) -> None:
        """Record that the next stage has less to do."""
        self._changed.set()

    async def next_batch(self) -> tuple[Sequence[Upload], bool]:
        """Return the next batch, at least one image unless the stream has ended, and whether more may come."""
        while not self._is_due():
            self._changed.clear()
            await self._changed.wait()
        batch: list[Upload] = []
        size = 0
        while self._waiting and len(batch) < self._batch_images and size < self._batch_bytes:
            upload = self._waiting.popleft()
            batch.append(upload)
            size += len(upload.content)
        self._bytes -= size
        return batch, bool(self._waiting) or not self._ended

    def _is_due(self) -> bool:
        if self._waiting and self._is_short():
            return True
        is_full = len(self._waiting) >= self._batch_images or self._bytes >= self._batch_bytes
        return (is_full and self._may_work_ahead()) or (self._ended and not self._waiting)
