"""The recipe as ProtoJSON of `semsearch.bundle.v1.Recipe`: the only file that knows both."""

from __future__ import annotations

from google.protobuf import json_format
from semsearch.bundle.v1 import recipe_pb2 as pb

from model.bundle.recipe import FetchedFile, FilledFile, Recipe
from model.errors import RecipeUnusable

__all__ = ["read_recipe", "write_recipe_json"]

_FORMAT_VERSION = 2  # the first that has filled files; a recipe without them is written as 1


def write_recipe_json(recipe: Recipe) -> str:
    """Returns the text of recipe.json."""
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


def read_recipe(text: str) -> Recipe:
    """Returns what the text of a recipe.json says.

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
