"""What the gateway asks of a store of images: originals and thumbnails, addressed by the SHA-256 of the original.

Contract of every store (`folder_blobs`, `object_blobs`):
1. An image that `put` returned from is complete and durable.
2. Content never changes under a name, so that writing the same image twice is harmless, from any number of processes.
3. `read` checks content against its checksum; the caller never gets damaged bytes.
4. Only released images are removed, and `remove` spares one that was put again since the cutoff: after a `put`, the
   caller has that long to store an item that names the image.
5. A name that is no SHA-256 is that of no image: there is nothing to read, release or remove, and no `Blob` has it.
   Names come from indexes, and an index may come from a backup that somebody changed.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

# Hexadecimal digits of a thumbnail's SHA-256 in its name.
CHECKSUM_DIGITS = 16
_SHA256 = re.compile("[0-9a-f]{64}")


class Rendition(enum.Enum):
    """A stored form of an image."""

    ORIGINAL = "original"
    THUMBNAIL = "thumbnail"


def is_sha256(name: str) -> bool:
    """Return whether a name is a SHA-256, in lower-case hex."""
    return _SHA256.fullmatch(name) is not None


@dataclass(frozen=True)
class Blob:
    """An image's bytes, named by the SHA-256 of the original in hex; what is None is not stored."""

    sha256: str
    original: bytes | None
    thumbnail: bytes | None

    def __post_init__(self) -> None:
        if not is_sha256(self.sha256):
            raise ValueError(f"not a SHA-256: {self.sha256!r}")


class BlobStore(Protocol):
    """Keeps originals and thumbnails.

    Every method raises `DependencyUnavailable` if the store does not answer.
    """

    async def put(self, blobs: Sequence[Blob]) -> None:
        """Store images durably, all before it returns; raise `StorageFull` if there is no room.

        After an error, some may be stored.
        """

    async def holds(self, sha256: str, size: int) -> bool:
        """Return whether the original exists with that many bytes."""

    async def holds_thumbnail(self, sha256: str) -> bool:
        """Return whether a thumbnail exists."""

    async def read(self, sha256: str, rendition: Rendition) -> bytes:
        """Return the bytes of a rendition; raises `BlobMissing` where they are missing or damaged."""

    async def release(self, sha256s: Sequence[str]) -> None:
        """Record that items naming these images are about to be deleted; raises `StorageFull`."""

    async def released_before(self, cutoff: float) -> list[str]:
        """Return the images that were released before a time (seconds since the epoch)."""

    async def retain(self, sha256: str, cutoff: float) -> None:
        """Withdraw the release, if it is of before the cutoff: an item still names the image."""

    async def remove(self, sha256: str, cutoff: float) -> None:
        """Remove a released image, unless it was put again since the cutoff, and its release."""
