"""The part of a client that keeping a folder in step needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from semsearch.filters import Where
from semsearch.values import Attributes, Deletion, Image, Upload, UploadResult


class Gallery(Protocol):
    """The methods of `Client` that are used."""

    def list_images(self, *, collection: str = "", where: Where | None = None) -> Iterator[Image]:
        """Yield images."""
        ...

    def index_images(self, uploads: Iterable[Upload], *, collection: str = "") -> Iterator[UploadResult]:
        """Add images."""
        ...

    def update_image(
        self, image_id: str, attributes: Attributes, *, only: Sequence[str] = (), collection: str = ""
    ) -> Image:
        """Change an image's attributes."""
        ...

    def delete_images(self, ids: Sequence[str], *, collection: str = "") -> Deletion:
        """Delete images."""
        ...
