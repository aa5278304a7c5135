"""What a recipe says, and its text: ProtoJSON of `semsearch.bundle.v1.Recipe`."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import json_format
from semsearch.bundle.v1 import recipe_pb2 as pb

from model.errors import RecipeUnusable

__all__ = ["RECIPE", "FetchedFile", "FilledFile", "Recipe", "recipe_from_json", "recipe_to_json"]

RECIPE = "recipe.json"
_FORMAT_VERSION = 2  # the first that has filled files; a recipe without them is written as 1


@dataclass(frozen=True)
class FetchedFile:
    """A file of the bundle that is fetched: its name there, where it is, its size in bytes and its SHA-256 in hex."""

    name: str
    url: str
    size: int
    sha256: str


@dataclass(frozen=True)
class FilledFile:
    """A file of the bundle that is made from an installed Python package: its name there, and the template's.

    `path` is the package's file, from the folder that packages are installed in; `size` in bytes and `sha256` in hex
    are of that file.
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
    """How a bundle is made from files that ship, are fetched, are made from packages, and are another bundle's.

    `words_from` is the id of a bundle that has the files that come from nowhere else; it may be empty.
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
    """Return what the text of a recipe.json says.

    Raises:
        RecipeUnusable: it is no recipe, or of a newer format.
    """
    try:
        message = json_format.Parse(text, pb.Recipe(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise RecipeUnusable(f"recipe.json is no recipe: {error}. Get the recipe again.") from error
    if not 1 <= message.format_version <= _FORMAT_VERSION:
        raise RecipeUnusable(
            f"recipe.json is of format {message.format_version}, and this version of semsearch reads up to "
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
