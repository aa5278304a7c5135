"""Images, how they are added, and their collections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from typing_extensions import override

from semsearch.errors import SemsearchError
from semsearch.image_sources import ImageContent
from semsearch.values.drawn import Drawn

JsonValue: TypeAlias = "bool | float | str | list[JsonValue] | dict[str, JsonValue] | None"
Attributes: TypeAlias = Mapping[str, JsonValue]
Scalar: TypeAlias = bool | float | str | None
_SHORT_ID = 12


@dataclass(frozen=True)
class Upload:
    """An image to add; `id` "" means the SHA-256 of the bytes.

    If `original_at` says where the original stays, only its thumbnail is stored.
    """

    content: ImageContent
    id: str = ""
    attributes: Attributes = field(default_factory=dict)
    original_at: str = ""


@dataclass(frozen=True, repr=False)
class Image(Drawn):
    """A stored image. `sha256` is lower-case hex of the original bytes; `width` and `height` are pixels, as shown.

    What the camera wrote is "" or None if it is unknown: `taken_time` is local time in ISO 8601, with the offset from
    UTC if the camera wrote one; latitude and longitude are degrees north and east. `original_at` is where the original
    lies if only a thumbnail is stored.
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
    taken_time: str = ""
    camera: str = ""
    lens: str = ""
    latitude: float | None = None
    longitude: float | None = None
    original_at: str = ""

    @property
    def name(self) -> str:
        """Its name for people: the attribute `path` or `name` if it has one, else the beginning of its id."""
        for attribute in ("path", "name"):
            if isinstance(found := self.attributes.get(attribute), str):
                return found
        return f"{self.id[:_SHORT_ID]}…" if self.id == self.sha256 else self.id

    @override
    def __repr__(self) -> str:
        attributes = f", attributes={dict(self.attributes)!r}" if self.attributes else ""
        return f"Image({self.id!r}, {self.width}×{self.height} {self.media_type}{attributes})"


@dataclass(frozen=True)
class UploadResult:
    """The result of an upload; `number` counts from 0.

    If `error` is None, the image is durable and searchable under `id`. `duplicate_of` is set if the collection had the
    same bytes before.
    """

    number: int
    id: str
    duplicate_of: str = ""
    error: SemsearchError | None = None


@dataclass(frozen=True)
class Deletion:
    """The number of deleted images, and the ids that the collection did not have."""

    deleted_count: int
    unknown_ids: tuple[str, ...]


@dataclass(frozen=True)
class DuplicatesProgress:
    """The progress of a search for duplicates, and the groups found since the last report.

    The images of a group show the same picture as its first, which is the best copy. `unhashed_count` images were
    added before images had a perceptual hash, and `plain_count` have almost no contrast; neither were compared.
    """

    done_count: int
    total_count: int
    groups: tuple[tuple[Image, ...], ...] = ()
    unhashed_count: int = 0
    plain_count: int = 0


@dataclass(frozen=True)
class Collection:
    """A named set of images that are searched together.

    `index_bytes` and `image_bytes` (originals and thumbnails) are on disk; the latter is None in lists.
    """

    id: str
    display_name: str
    image_count: int
    model_id: str
    create_time: datetime
    index_bytes: int = 0
    image_bytes: int | None = None
