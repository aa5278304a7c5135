"""The requests of IndexImages, and how many of them may be under way.

At most `MAX_IMAGES` images and `MAX_BYTES` bytes are read and unanswered; a larger image is sent alone.
"""

from __future__ import annotations

from semsearch.errors import InvalidRequest
from semsearch.image_sources import ImageContent, content_of
from semsearch.json_values import struct_of
from semsearch.transport.server import MAX_MESSAGE_BYTES
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.values import Upload

# Enough for four embedders; a gateway that has fewer reads less.
MAX_IMAGES = 256
MAX_BYTES = 48 * 2**20
# Leaves the rest of a message for the attributes.
MAX_IMAGE_BYTES = MAX_MESSAGE_BYTES - 2**20


class Window:
    """The requests for images that are not answered yet, in the order of their numbers, each with its size in bytes."""

    def __init__(self) -> None:
        self._requests: dict[int, tuple[pb.IndexImagesRequest, int]] = {}
        self._bytes = 0
        self._end = 0
        self._next = 0

    def has_room(self, size: int) -> bool:
        """Return whether an image of this size may enter now."""
        return not self._requests or (len(self._requests) < MAX_IMAGES and self._bytes + size <= MAX_BYTES)

    def enter(self, request: pb.IndexImagesRequest, size: int) -> None:
        """Take room; the number is higher than all before."""
        self._requests[request.image.sequence] = (request, size)
        self._bytes += size
        self._end = request.image.sequence + 1

    def release(self, number: int) -> None:
        """Make room again: the image was answered."""
        _, size = self._requests.pop(number, (None, 0))
        self._bytes -= size

    def rewind(self) -> None:
        """Send everything that is not answered again."""
        self._next = min(self._requests, default=self._end)

    def take(self) -> pb.IndexImagesRequest | None:
        """Return the next request to send, or None if all were sent."""
        while self._next < self._end:
            self._next += 1
            if found := self._requests.get(self._next - 1):
                return found[0]
        return None


def first_request(collection: str) -> pb.IndexImagesRequest:
    """Return the request that begins a stream."""
    return pb.IndexImagesRequest(config=pb.IndexImagesConfig(collection=collection))


def request_of(number: int, given: Upload | ImageContent) -> pb.IndexImagesRequest:
    """Return the request for one image; this reads its file.

    Raises:
        InvalidRequest: it cannot be sent.
    """
    upload = given if isinstance(given, Upload) else Upload(given)
    try:
        content = content_of(upload.content)
    except InvalidRequest as error:
        raise InvalidRequest(f"Upload {number}: {error.message}", hint=error.hint) from error
    if len(content) > MAX_IMAGE_BYTES:
        raise InvalidRequest(f"Upload {number} has {len(content):,} bytes, and an image may have {MAX_IMAGE_BYTES:,}.")
    attributes = struct_of(upload.attributes, f"Upload {number}: attributes")
    image = pb.ImageUpload(
        sequence=number, content=content, id=upload.id, attributes=attributes, original_at=upload.original_at
    )
    return pb.IndexImagesRequest(image=image)
