"""A collection in memory with the interface of `Client`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from semsearch.errors import ErrorDetails, InvalidRequest, NotFound
from semsearch.values import Attributes, Deletion, Image, JsonValue, Upload, UploadResult

NO_IMAGE = b"no image"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class GalleryDouble:
    """Images by id; `sent` counts the uploads. `before_call` may raise, like a stopped server."""

    images: dict[str, Image] = field(default_factory=dict)
    sent: int = 0
    before_call: Callable[[], None] = lambda: None

    def places(self) -> dict[str, str]:
        """Return all places with the hashes of their images."""
        found: dict[str, str] = {}
        for image in self.images.values():
            for place in image.attributes["paths"]:  # type: ignore[union-attr]
                assert place not in found, "a place has one image"
                found[str(place)] = image.sha256
        return found

    def store(self, content: bytes, attributes: Attributes, image_id: str = "") -> None:
        digest = sha256(content)
        now = datetime(2026, 1, 1, tzinfo=UTC)
        image = Image(image_id or digest, "c", attributes, digest, "image/png", len(content), 1, 1, now)
        self.images[image.id] = image

    def list_images(self, *, collection: str = "", where: Mapping[str, object] | None = None) -> Iterator[Image]:
        self.before_call()
        yield from [
            image for image in self.images.values() if all(_has(image, *each) for each in (where or {}).items())
        ]

    def index_images(self, uploads: Iterable[Upload], *, collection: str = "") -> Iterator[UploadResult]:
        for number, upload in enumerate(uploads):
            self.before_call()
            self.sent += 1
            digest = sha256(upload.content)
            same = [image.id for image in self.images.values() if image.sha256 == digest]
            if upload.content.startswith(NO_IMAGE):
                error = InvalidRequest("The bytes are not an image.", ErrorDetails("NOT_AN_IMAGE"))
                yield UploadResult(number, "", error=error)
            elif same:
                yield UploadResult(number, same[0], duplicate_of=same[0])
            else:
                self.store(upload.content, upload.attributes)
                yield UploadResult(number, digest)

    def update_image(
        self, image_id: str, attributes: Attributes, *, only: Sequence[str] = (), collection: str = ""
    ) -> Image:
        self.before_call()
        if image_id not in self.images:
            raise NotFound("There is no such image.")
        old = {key: value for key, value in self.images[image_id].attributes.items() if only and key not in only}
        changed = replace(self.images[image_id], attributes={**old, **attributes})
        self.images[image_id] = changed
        return changed

    def delete_images(self, ids: Sequence[str], *, collection: str = "") -> Deletion:
        self.before_call()
        assert len(ids) <= 1_000
        unknown = tuple(each for each in ids if self.images.pop(each, None) is None)
        return Deletion(len(ids) - len(unknown), unknown)


def _has(image: Image, name: str, values: Sequence[JsonValue]) -> bool:
    value = image.sha256 if name == "image.sha256" else image.attributes.get(name)
    return any(each in values for each in (value if isinstance(value, list) else [value]))
