"""Images on their way to readers of streams: each is held only while it is read.

gRPC writes as fast as its client reads. A client that stalls would hold an image for as long as it likes, and its share
of the bytes that all downloads may hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from serving.byte_budget import ByteShare
from serving.http_requests import STALL_SECONDS

CHUNK_BYTES = 256 * 2**10


class HeldContent:
    """The bytes of an image, and their share of a budget, until they are sent or their reader stalls."""

    def __init__(self, content: bytes, share: ByteShare) -> None:
        self.size = len(content)
        self._content: bytes | None = content
        self._share = share

    @contextmanager
    def chunk(self, start: int) -> Iterator[bytes]:
        """Return up to `CHUNK_BYTES` from `start` on, for a `with` block that lasts until they are written.

        Raises:
            TimeoutError: An earlier chunk was not read for `STALL_SECONDS`, and the rest is not held any more.
        """
        if self._content is None:
            raise TimeoutError(f"The image was not read for {STALL_SECONDS:g} s, so its download ended. Call again.")
        stalled = asyncio.get_running_loop().call_later(STALL_SECONDS, self._drop)
        try:
            yield self._content[start : start + CHUNK_BYTES]
        finally:
            stalled.cancel()

    def _drop(self) -> None:
        self._content = None
        self._share.give_back(self._share.taken)
