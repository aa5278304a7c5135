"""The responses of FindDuplicates, each below the limit on messages."""

from __future__ import annotations

from collections.abc import Iterator

from semsearch.v1 import gallery_service_pb2 as pb

from gateway.api.translate import image_message
from gateway.collections.duplicates import DuplicatesFound
from serving.page_tokens import PageRoom


def duplicate_messages(found: DuplicatesFound) -> Iterator[pb.FindDuplicatesResponse]:
    """Yield the responses with some groups, at least one; each has the progress."""
    response, room = _progress(found), PageRoom()
    for group in found.groups:
        part = response.groups.add()
        for image in map(image_message, group):
            if not room.fits(image):
                if part.images:
                    part.continues = True
                else:
                    response.groups.pop()
                yield response
                response, room = _progress(found), PageRoom()
                room.fits(image)
                part = response.groups.add()
            part.images.append(image)
    yield response


def _progress(found: DuplicatesFound) -> pb.FindDuplicatesResponse:
    return pb.FindDuplicatesResponse(
        done_count=found.done, total_count=found.total, unhashed_count=found.unhashed, plain_count=found.plain
    )
