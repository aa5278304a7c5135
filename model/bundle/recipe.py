"""A recipe and its text form: ProtoJSON of `semsearch.bundle.v1.Recipe`."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import json_format
from semsearch.bundle.v1 import recipe_pb2 as pb

from model.errors import RecipeUnusable

RECIPE = "recipe.json"
_FORMAT_VERSION = 2  # added filled files; a recipe without them is written as 1


@dataclass(frozen=True)
class FetchedFile:
    """A file to download: its name in the bundle, its URL, its size in bytes and its SHA-256 in hex."""

    name: str
    url: str
    size: int
    sha256: str


@dataclass(frozen=True)
class FilledFile:
    """A file that is made from a template and an installed Python package; `name` is its name in the bundle.

    `path` is the package's file, relative to the folder where packages are installed; `size` (bytes) and `sha256` (hex)
    describe that file.
    """

    name: str
    template: str
    package: str
    version: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """How to make a bundle from files that ship, are downloaded, are made from packages, or belong to another bundle.

    `words_from` is the id of a bundle that has the remaining files; it may be empty.
    """

    name: str
    title: str
    model_id: str
    fetched: tuple[FetchedFile, ...]
    words_from: str = ""
    filled: tuple[FilledFile, ...] = ()


def recipe_to_json(recipe: Recipe) -> str:
    """Return the text of recipe.json."""
    message = pb.Recipe(
        format_version=_FORMAT_VERSION if recipe.filled else 1,
        name=recipe.name,
        title=recipe.title,
        model_id=recipe.model_id,
        fetched=[
            pb.FetchedFile(name=each.name, url=each.url, size_bytes=each.size, sha256=each.sha256)
            for each in recipe.fetched
        ],
        words_from=recipe.words_from,
        filled=[
            pb.FilledFile(
                name=each.name,
                template_file=each.template,
                package=each.package,
                package_version=each.version,
                package_file=each.path,
                package_file_size_bytes=each.size,
                package_file_sha256=each.sha256,
            )
            for each in recipe.filled
        ],
    )
    return json_format.MessageToJson(message, ensure_ascii=False) + "\n"


def recipe_from_json(text: str) -> Recipe:
    """Parse the text of a recipe.json.

    Raises:
        RecipeUnusable: it is not a recipe, or has a newer format.
    """
    try:
        message = json_format.Parse(text, pb.Recipe(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise RecipeUnusable(f"recipe.json is not a recipe: {error}. Get the recipe again.") from error
    if not 1 <= message.format_version <= _FORMAT_VERSION:
        raise RecipeUnusable(
            f"recipe.json has format {message.format_version}, but this version of semsearch reads only up to "
            f"{_FORMAT_VERSION}. Install a newer semsearch, or choose another recipe."
        )
    return Recipe(
        message.name,
        message.title,
        message.model_id,
        tuple(FetchedFile(each.name, each.url, each.size_bytes, each.sha256) for each in message.fetched),
        message.words_from,
        tuple(
            FilledFile(
                each.name,
                each.template_file,
                each.package,
                each.package_version,
                each.package_file,
                each.package_file_size_bytes,
                each.package_file_sha256,
            )
            for each in message.filled
        ),
    )
