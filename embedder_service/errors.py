"""Errors of the embedder.

EmbedderError
└── ImageError          what was sent cannot be embedded
    ├── NotAnImage      the bytes are not an image of a known format
    ├── DamagedImage    the bytes begin as an image, but are cut off or damaged
    ├── ImageTooLarge   more bytes, pixels or frames than allowed
    └── InvalidCrop     the crop box is empty or outside the image
"""

from __future__ import annotations

__all__ = [
    "BundleDamaged",
    "BundleError",
    "BundleTooNew",
    "DamagedImage",
    "EmbedderError",
    "ImageError",
    "ImageTooLarge",
    "InvalidCrop",
    "NotAnImage",
]


class EmbedderError(Exception):
    """What the embedder was given does not fit; the message says what to do."""


class BundleError(EmbedderError):
    """A model bundle cannot be served."""


class BundleDamaged(BundleError):
    """The bundle's files do not match its manifest or its self-test."""


class BundleTooNew(BundleError):
    """The bundle was written in a newer format than this version reads."""


class ImageError(EmbedderError):
    """What was sent cannot be embedded."""


class NotAnImage(ImageError):
    """The bytes are not an image of a known format."""


class DamagedImage(ImageError):
    """The bytes begin as an image, but are cut off or damaged."""


class ImageTooLarge(ImageError):
    """More bytes, pixels or frames than allowed; `limit` is the greatest number that is."""

    def __init__(self, what: str, actual: int, limit: int) -> None:
        super().__init__(f"The image has {actual:,} {what}, and {limit:,} are allowed. Send a smaller one.")
        self.limit = limit


class InvalidCrop(ImageError):
    """The crop box is empty or outside the image."""
