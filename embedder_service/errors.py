"""Errors of the embedder.

EmbedderError
└── ImageError          what was sent cannot be embedded
    ├── NotAnImage      the bytes are not an image of a known format
    ├── DamagedImage    the bytes begin as an image, but are cut off or damaged
    ├── ImageTooLarge   more bytes, pixels or frames than allowed
    └── InvalidCrop     the crop box is empty or outside the image
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "BundleDamaged",
    "BundleError",
    "BundleTooNew",
    "CancelledTerms",
    "DamagedImage",
    "EmbedderError",
    "EmptyQuery",
    "ImageError",
    "ImageTooLarge",
    "InvalidCrop",
    "InvalidWeight",
    "NotAnImage",
    "QueryError",
    "QueryTooLong",
    "UnknownWords",
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


class QueryError(EmbedderError):
    """A query gives no vector."""


class EmptyQuery(QueryError):
    """There is no word in it."""

    def __init__(self) -> None:
        super().__init__("The query has no word in it. Say what to look for, for example: dog.")


class UnknownWords(QueryError):
    """The vocabulary has none of its words; `suggestions` are those nearest to each."""

    def __init__(self, suggestions: Mapping[str, tuple[str, ...]]) -> None:
        words = ", ".join(suggestions)
        near = ", ".join(word for each in suggestions.values() for word in each)
        super().__init__(f"No word of the query is known: {words}." + (f" Did you mean {near}?" if near else ""))
        self.suggestions = suggestions


class CancelledTerms(QueryError):
    """Its terms cancel each other out."""

    def __init__(self) -> None:
        super().__init__("The terms of the query cancel each other out. Change a word or a weight.")


class QueryTooLong(QueryError):
    """More characters or terms than allowed."""


class InvalidWeight(QueryError):
    """A weight is zero, or no number."""

    def __init__(self, text: str, weight: float) -> None:
        super().__init__(f"The weight of {text!r} is {weight}: it must be a number other than zero.")
