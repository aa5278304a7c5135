"""A stored image, and its representation in the index: item id = image id, attributes `{"user": …, "image": …}`."""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from gateway.backends.attributes import Attributes, JsonValue, canonical, from_text, to_text
from gateway.backends.embedding import PhotoMetadata
from gateway.backends.vector_index import Item, Neighbor
from gateway.errors import InvalidId

TAKEN_TIME = "image.taken_time"  # the attribute's path in the index
MAX_ID_CHARACTERS = 200
MAX_ID_BYTES = 512  # the index's own limit

_PHOTO_FIELDS = tuple(each.name for each in fields(PhotoMetadata))


class Order(enum.Enum):
    """The order of images in an answer.

    OF_METHOD is nearest first in a search, first added first in a list. NEWEST_FIRST is by the time they were taken;
    those without a time come last.
    """

    OF_METHOD = enum.auto()
    NEWEST_FIRST = enum.auto()


@dataclass(frozen=True)
class StoredImage:
    """An image of a collection.

    `sha256` is lower-case hex; width and height are those after EXIF orientation; `perceptual_hash` has 64 hex digits,
    zeros for a picture without contrast, or is empty where the image was added before there was one. `original_at` is
    where the caller kept the original, of which only a thumbnail is stored; empty if it is stored. `stored_bytes` are
    those of its files on disk.
    """

    id: str
    collection: str
    attributes: Attributes
    sha256: str
    media_type: str
    size_bytes: int
    width: int
    height: int
    create_time: datetime
    photo: PhotoMetadata = field(default_factory=PhotoMetadata)
    perceptual_hash: str = ""
    original_at: str = ""
    stored_bytes: int = 0

    @classmethod
    def from_item(cls, collection: str, item: Item | Neighbor) -> StoredImage:
        """Read an image from an item of the collection's index."""
        attributes: Any = from_text(item.attributes)
        image, user = attributes["image"], attributes.get("user")
        return cls(
            id=item.id,
            collection=collection,
            attributes=user if isinstance(user, Mapping) else {},
            sha256=image["sha256"],
            media_type=image["media_type"],
            size_bytes=int(image["size_bytes"]),
            width=int(image["width"]),
            height=int(image["height"]),
            create_time=datetime.fromisoformat(image["create_time"]),
            photo=PhotoMetadata(**{name: image[name] for name in _PHOTO_FIELDS if name in image}),
            perceptual_hash=image.get("perceptual_hash", ""),
            original_at=image.get("original_at", ""),
            stored_bytes=int(image.get("stored_bytes", 0)),
        )

    def item_attributes(self) -> str:
        """Return the attributes of the image's item."""
        image: dict[str, JsonValue] = {
            "sha256": self.sha256,
            "media_type": self.media_type,
            "size_bytes": self.size_bytes,
            "width": self.width,
            "height": self.height,
            "create_time": rfc3339(self.create_time),
        }
        photo = {name: getattr(self.photo, name) for name in _PHOTO_FIELDS}
        known = {name: canonical(value) for name, value in photo.items() if value not in ("", None)}
        if self.perceptual_hash:
            known["perceptual_hash"] = self.perceptual_hash
        if self.stored_bytes:
            known["stored_bytes"] = self.stored_bytes
        if self.original_at:
            known["original_at"] = self.original_at
        return to_text({"user": dict(self.attributes), "image": image | known})


def rfc3339(time: datetime) -> str:
    """Return a time in UTC with microseconds, for example 2026-01-31T12:00:00.000000Z; such strings sort by time."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def require_image_id(image_id: str, field: str) -> str:
    """Return an image's id if it is valid.

    Raises:
        InvalidId: It is empty, longer than 200 characters or 512 bytes, has a slash or a control character, or begins
            or ends with white space.
    """
    if not image_id:
        raise InvalidId(field, "an image's id must not be empty.")
    if len(image_id) > MAX_ID_CHARACTERS or len(image_id.encode()) > MAX_ID_BYTES:
        raise InvalidId(
            field,
            f"an image's id has at most {MAX_ID_CHARACTERS} characters and {MAX_ID_BYTES} bytes of UTF-8; "
            f"this one has {len(image_id):,} characters.",
        )
    if image_id != image_id.strip():
        raise InvalidId(field, "an image's id must not begin or end with white space.")
    if any(char in "/\\" or unicodedata.category(char) == "Cc" for char in image_id):
        raise InvalidId(field, "an image's id must not have slashes or control characters.")
    return image_id
