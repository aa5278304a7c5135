"""The embedder's own errors; `model.errors` has those of bundles, images and queries.

EmbedderError
├── ModelNotFound       no bundle has that id
├── PullError           a model cannot be pulled
│   ├── RecipeNotFound  no recipe has that name
│   ├── DownloadFailed  a file could not be fetched
│   └── DownloadWrong   the fetched file is not the one that the recipe names
└── Overloaded          too many images wait for the model
"""

from __future__ import annotations

from collections.abc import Sequence

from model.errors import shortened

_ID = 100


class EmbedderError(Exception):
    """The embedder cannot fulfil a request; the message says what to do."""


class ModelNotFound(EmbedderError):
    """No bundle has that id."""

    def __init__(self, model_id: str, what_to_do: str = "ListModels lists the models.") -> None:
        super().__init__(f"There is no model {shortened(model_id, _ID)!r}. {what_to_do}")
        self.model_id = shortened(model_id, _ID)


class PullError(EmbedderError):
    """A model cannot be pulled."""


class RecipeNotFound(PullError):
    """No recipe has that name; `names` are those of the existing recipes."""

    def __init__(self, recipe: str, names: Sequence[str]) -> None:
        existing = (
            f"The recipes are: {', '.join(names)}."
            if names
            else "There are no recipes; SEMSEARCH_EMBEDDER_RECIPES names their folder."
        )
        super().__init__(f"There is no recipe {shortened(recipe, _ID)!r}. {existing}")
        self.recipe = shortened(recipe, _ID)


class DownloadFailed(PullError):
    """A file could not be fetched. The bytes received are kept."""

    def __init__(self, file: str, place: str, why: str) -> None:
        super().__init__(
            f"{file} could not be fetched from {place}: {why}. Try again: the download resumes where it stopped. If "
            f"this machine cannot reach that place, put the file into a folder under the name {file} and set "
            "SEMSEARCH_EMBEDDER_MODEL_MIRROR to that folder, or to the URL of a server that has it."
        )
        self.place = place


class DownloadWrong(PullError):
    """The fetched file is not the one that the recipe names. It is not kept."""

    def __init__(self, file: str, place: str, why: str) -> None:
        super().__init__(
            f"The file at {place} is not the {file} that the recipe names: {why}. It was not kept. Try again; if that "
            "does not help, the file was changed there or on the way: set SEMSEARCH_EMBEDDER_MODEL_MIRROR to a folder "
            "or a URL that has the right one."
        )
        self.place = place


class Overloaded(EmbedderError):
    """Too many images wait for the model to admit a call's images; `queued` is their number."""

    def __init__(self, queued: int) -> None:
        super().__init__(f"{queued:,} images already wait for the model. Try again in a moment, or send fewer at once.")
        self.queued = queued
