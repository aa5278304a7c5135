"""The comments of the protos, by the full name of what they describe, without "semsearch."."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.message import Message

DESCRIPTORS = Path(__file__).parents[3] / "client" / "protos.binpb"


def comments() -> dict[str, str]:
    written = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    found = {}
    for file in written.file:
        for location in file.source_code_info.location:
            if location.leading_comments and len(location.path) % 2 == 0:
                names = [file.package.removeprefix("semsearch."), *names_on(list(location.path), file)]
                found[".".join(names)] = " ".join(location.leading_comments.split())
    return found


def names_on(path: list[int], message: Message) -> Iterator[str]:
    """Yield the names on the path of a location: the numbers of a repeated field and of its element, and so on."""
    for number, index in zip(path[::2], path[1::2], strict=True):
        message = getattr(message, message.DESCRIPTOR.fields_by_number[number].name)[index]
        yield message.name  # type: ignore[attr-defined]


COMMENTS = comments()
