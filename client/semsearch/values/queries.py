"""What a query consists of, and how the server understood it."""

from __future__ import annotations

from dataclasses import dataclass

from semsearch.image_sources import ImageSource


@dataclass(frozen=True)
class Term:
    """A word or phrase of a query; a negative weight means less like it."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class CropBox:
    """A part of an image, in fractions of its width and height, 0…1."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class ImageTerm:
    """An image of a query; a negative weight means less like it."""

    image: ImageSource
    weight: float = 1.0
    crop: CropBox | None = None


@dataclass(frozen=True)
class UnknownWord:
    """A word of a query that was ignored, with similar words of the vocabulary, best first."""

    word: str
    suggestions: tuple[str, ...]


@dataclass(frozen=True)
class UnderstoodTerm:
    """A part of a query as the server understood it.

    `text` is what was written, and `words` are the vocabulary's words for it. A negative `weight` steers away. Words
    that did not count, such as "the" and "a photo of", are in no part.
    """

    text: str
    words: tuple[str, ...]
    weight: float
