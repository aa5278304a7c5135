"""An image as a caller sends it."""

from __future__ import annotations

from dataclasses import dataclass

from model.images import CropBox


@dataclass(frozen=True)
class ImageInput:
    """An image's bytes, the crop to embed, and the longest edge of its thumbnail in pixels; 0 means no thumbnail."""

    content: bytes
    crop: CropBox | None = None
    thumbnail_edge: int = 0
