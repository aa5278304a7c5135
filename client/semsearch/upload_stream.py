"""One stream of IndexImages: sends uploads as fast as they are answered.

Invariants:
- At most `MAX_IMAGES` images and `MAX_BYTES` bytes are sent and unanswered; a larger image is sent alone.
- Uploads are read from the caller's iterable only when there is room, in gRPC's own thread.
- An exception from the caller's iterable, or an upload that cannot be sent at all, ends the stream. It is raised once
  everything sent before it has been answered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from semsearch.connection import MAX_MESSAGE_BYTES
from semsearch.errors import InvalidRequest
from semsearch.json_values import struct_of
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.values import Upload

MAX_IMAGES = 64
MAX_BYTES = 32 * 2**20
# Leaves the rest of a message for the attributes.
MAX_IMAGE_BYTES = MAX_MESSAGE_BYTES - 2**20


class UploadStream:
    """The requests of a stream, held back until there is room; iterate over it once."""

    def __init__(self, uploads: Iterable[Upload], collection: str) -> None:
        self._uploads = uploads
        self._collection = collection
        self._changed = threading.Condition()
        self._sizes: dict[int, int] = {}
        self._closed = False
        self._fault: BaseException | None = None

    def __iter__(self) -> Iterator[pb.IndexImagesRequest]:
        """Yield the configuration, then the uploads, numbered from 0."""
        yield pb.IndexImagesRequest(config=pb.IndexImagesConfig(collection=self._collection))
        uploads = enumerate(self._uploads)
        while (request := self._next(uploads)) is not None:
            yield request

    def answered(self, number: int) -> None:
        """Make room: the upload with that number was answered."""
        with self._changed:
            self._sizes.pop(number, None)
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

    def _next(self, uploads: Iterator[tuple[int, Upload]]) -> pb.IndexImagesRequest | None:
        try:
            number, upload = next(uploads)
            request = _request(number, upload)
        except StopIteration:
            return None
        except BaseException as fault:  # noqa: BLE001 — handed to the caller's thread, which raises it
            self._fault = fault
            return None
        return request if self._enter(number, len(upload.content)) else None

    def _enter(self, number: int, size: int) -> bool:
        """Wait for room and take it; return False if the stream was closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._closed
                    or not self._sizes
                    or (len(self._sizes) < MAX_IMAGES and sum(self._sizes.values()) + size <= MAX_BYTES)
                )
            )
            self._sizes[number] = size
            return not self._closed


def _request(number: int, upload: Upload) -> pb.IndexImagesRequest:
    if len(upload.content) > MAX_IMAGE_BYTES:
        raise InvalidRequest(
            f"Upload {number} has {len(upload.content):,} bytes, and an image may have {MAX_IMAGE_BYTES:,}."
        )
    attributes = struct_of(upload.attributes, f"Upload {number}: attributes")
    image = pb.ImageUpload(
        sequence=number,
        content=upload.content,
        id=upload.id,
        attributes=attributes,
        original_at=upload.original_at,
    )
    return pb.IndexImagesRequest(image=image)
