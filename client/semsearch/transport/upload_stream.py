"""The uploads of one IndexImages for each transport: sends them as fast as they are answered, on one stream or several.

Invariants:
- The images that were read and are not answered yet fit into `uploads.Window`, and are kept there: if a stream breaks
  off, the next one begins with them.
- The caller's iterable is read once, and at most one upload ahead of the window: in a thread, or for asyncio in a task,
  with the files read in a thread. A stream that ends while it is read leaves it alone.
- An exception from the caller's iterable, or an upload that cannot be sent at all, ends the uploads. It is raised once
  everything before it has been answered.
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
    """Reads uploads and gives them to the streams that send them; close it at the end."""

    def __init__(self, uploads: Iterable[Upload | ImageContent], collection: str) -> None:
        self._uploads = uploads
        self._collection = collection
        self._changed = threading.Condition()
        self._window = Window()
        self._stream = 0
        self._is_read = False
        self._is_closed = False
        self._fault: BaseException | None = None

    def requests(self) -> Iterator[pb.IndexImagesRequest]:
        """Return the requests of a new stream: the configuration, and the uploads that are not answered.

        Uploads are numbered from 0. The requests of the stream before come to their end.
        """
        with self._changed:
            self._stream += 1
            self._window.rewind()
            self._changed.notify_all()
            if self._stream == 1:
                threading.Thread(target=self._read, name="uploads", daemon=True).start()
            return self._requests(self._stream)

    def release(self, number: int) -> None:
        """Make room: the upload with that number was answered."""
        with self._changed:
            self._window.release(number)
            self._changed.notify_all()

    def close(self) -> None:
        """End reading and sending, even while one waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def raise_fault(self) -> None:
        """Raise what the caller's iterable raised, if anything."""
        if self._fault is not None:
            raise self._fault

    def _requests(self, stream: int) -> Iterator[pb.IndexImagesRequest]:
        yield first_request(self._collection)
        while (request := self._take(stream)) is not None:
            yield request
            del request  # frees the image, once it is answered, while the next one is awaited

    def _take(self, stream: int) -> pb.IndexImagesRequest | None:
        """Wait for the next request; return None if there is none, or not for this stream."""
        with self._changed:
            while not self._is_closed and stream == self._stream:
                if (request := self._window.take()) is not None or self._is_read:
                    return request
                self._changed.wait()
            return None

    def _read(self) -> None:
        try:
            for number, upload in enumerate(self._uploads):
                request = request_of(number, upload)
                if not self._enter(request, len(request.image.content)):
                    return
                del request, upload  # frees the image while the next one is read
        except BaseException as fault:  # noqa: BLE001 — handed to the caller's thread, which raises it
            self._fault = fault
        finally:
            with self._changed:
                self._is_read = True
                self._changed.notify_all()

    def _enter(self, request: pb.IndexImagesRequest, size: int) -> bool:
        """Wait for room and take it; return False if no more is sent."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._window.has_room(size))
            self._window.enter(request, size)
            self._changed.notify_all()
            return not self._is_closed


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
        self._stream = 0
        self._reading: asyncio.Task[None] | None = None
        self._is_read = False
        self._fault: Exception | None = None

    def requests(self) -> AsyncIterator[pb.IndexImagesRequest]:
        """Return the requests of a new stream; see `UploadStream.requests`."""
        self._stream += 1
        self._window.rewind()
        self._changed.set()
        self._reading = self._reading or asyncio.create_task(self._read())
        return self._requests(self._stream)

    def release(self, number: int) -> None:
        """Make room: the upload with that number was answered."""
        self._window.release(number)
        self._changed.set()

    def close(self) -> None:
        """End reading and sending, even while one waits."""
        self._stream += 1
        self._changed.set()
        if self._reading is not None:
            self._reading.cancel()

    def raise_fault(self) -> None:
        """Raise what the caller's iterable raised, if anything."""
        if self._fault is not None:
            raise self._fault

    async def _requests(self, stream: int) -> AsyncIterator[pb.IndexImagesRequest]:
        yield first_request(self._collection)
        while stream == self._stream:
            if (request := self._window.take()) is not None:
                yield request
                del request  # as above
            elif self._is_read:
                return
            else:
                await self._change()

    async def _read(self) -> None:
        number = 0
        try:
            async for upload in _each(self._uploads):
                request = await asyncio.to_thread(request_of, number, upload)
                size = len(request.image.content)
                while not self._window.has_room(size):
                    await self._change()
                self._window.enter(request, size)
                self._changed.set()
                del request, upload  # frees the image while the next one is read
                number += 1
        except Exception as fault:  # noqa: BLE001 — handed to the caller's task, which raises it
            self._fault = fault
        finally:
            self._is_read = True
            self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


async def _each(
    uploads: AsyncIterable[Upload | ImageContent] | Iterable[Upload | ImageContent],
) -> AsyncIterator[Upload | ImageContent]:
    if isinstance(uploads, AsyncIterable):
        async for upload in uploads:
            yield upload
    else:
        for upload in uploads:
            yield upload
