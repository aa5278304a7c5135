"""Errors of the embedder's own; what is wrong with a bundle, an image or a query `model.errors` says.

EmbedderError
├── ModelNotFound       there is no bundle of that id
├── PullError           a model cannot be pulled
│   ├── RecipeNotFound  there is no recipe of that name
│   ├── DownloadFailed  a file could not be fetched
│   └── DownloadWrong   what was fetched is another file than the recipe names
└── Overloaded          too many images wait for the model
"""

from __future__ import annotations

from collections.abc import Sequence

from model.errors import shortened

__all__ = [
    "DownloadFailed",
    "DownloadWrong",
    "EmbedderError",
    "ModelNotFound",
    "Overloaded",
    "PullError",
    "RecipeNotFound",
]

_ID = 100


class EmbedderError(Exception):
    """What the embedder was asked for cannot be; the message says what to do."""


class ModelNotFound(EmbedderError):
    """There is no bundle of that id."""

    def __init__(self, model_id: str, what_to_do: str = "ListModels tells which there are.") -> None:
        super().__init__(f"There is no model {shortened(model_id, _ID)!r}. {what_to_do}")
        self.model_id = shortened(model_id, _ID)


class PullError(EmbedderError):
    """A model cannot be pulled."""


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


class Overloaded(EmbedderError):
    """So many images wait for the model that a call's images do not fit; `queued` is how many."""

    def __init__(self, queued: int) -> None:
        super().__init__(f"{queued:,} images wait for the model already. Try again in a moment, or send fewer at once.")
        self.queued = queued
