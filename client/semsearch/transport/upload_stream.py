"""One stream of IndexImages for each transport: sends uploads as fast as they are answered.

Invariants:
- The images that are sent and not answered yet fit into `uploads.Window`.
- The caller's iterable is read at most one upload ahead of the window: in gRPC's own thread, or for asyncio in a task
  of gRPC's, with the files read in a thread.
- An exception from the caller's iterable, or an upload that cannot be sent at all, ends the stream. It is raised once
  everything sent before it has been answered.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from semsearch.image_sources import ImageContent
from semsearch.transport.uploads import Window, first_request, request_of
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.values import Upload


class UploadStream:
    """The requests of a stream, held back until there is room; iterate over it once."""

    def __init__(self, uploads: Iterable[Upload | ImageContent], collection: str) -> None:
        self._uploads = uploads
        self._collection = collection
        self._changed = threading.Condition()
        self._window = Window()
        self._closed = False
        self._fault: BaseException | None = None

    def __iter__(self) -> Iterator[pb.IndexImagesRequest]:
        """Yield the configuration, then the uploads, numbered from 0."""
        yield first_request(self._collection)
        try:
            for number, upload in enumerate(self._uploads):
                request = request_of(number, upload)
                if not self._enter(number, len(request.image.content)):
                    return
                yield request
                del request, upload  # frees the image while the next one is read
        except GeneratorExit:
            raise
        except BaseException as fault:  # noqa: BLE001 — handed to the caller's thread, which raises it
            self._fault = fault

    def release(self, number: int) -> None:
        """Make room: the upload with that number was answered."""
        with self._changed:
            self._window.release(number)
            self._changed.notify_all()

    def close(self) -> None:
        """End the requests, even while one waits for room."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def raise_fault(self) -> None:
        """Raise what the caller's iterable raised, if anything."""
        if self._fault is not None:
            raise self._fault

    def _enter(self, number: int, size: int) -> bool:
        """Wait for room and take it; return False if the stream was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._window.has_room(size))
            self._window.enter(number, size)
            return not self._closed


class AsyncUploadStream:
    """The twin of `UploadStream` for asyncio."""

    def __init__(
        self,
        uploads: AsyncIterable[Upload | ImageContent] | Iterable[Upload | ImageContent],
        collection: str,
    ) -> None:
        self._uploads = uploads
        self._collection = collection
        self._window = Window()
        self._changed = asyncio.Event()
        self._fault: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[pb.IndexImagesRequest]:
        """Yield the configuration, then the uploads, numbered from 0."""
        yield first_request(self._collection)
        number = 0
        try:
            async for upload in _each(self._uploads):
                request = await asyncio.to_thread(request_of, number, upload)
                size = len(request.image.content)
                while not self._window.has_room(size):
                    self._changed.clear()
                    await self._changed.wait()
                self._window.enter(number, size)
                yield request
                del request, upload  # frees the image while the next one is read
                number += 1
        except Exception as fault:  # noqa: BLE001 — handed to the caller's task, which raises it
            self._fault = fault

    def release(self, number: int) -> None:
        """Make room: the upload with that number was answered."""
        self._window.release(number)
        self._changed.set()

    def raise_fault(self) -> None:
        """Raise what the caller's iterable raised, if anything."""
        if self._fault is not None:
            raise self._fault


async def _each(
    uploads: AsyncIterable[Upload | ImageContent] | Iterable[Upload | ImageContent],
) -> AsyncIterator[Upload | ImageContent]:
    if isinstance(uploads, AsyncIterable):
        async for upload in uploads:
            yield upload
    else:
        for upload in uploads:
            yield upload
