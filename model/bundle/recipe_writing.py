"""Writes a recipe from a finished bundle: what ships of it, and where the rest comes from."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from model.bundle.manifest_json import VECTORS, WORDS
from model.bundle.reading import MANIFEST, open_bundle
from model.bundle.recipe import FetchedFile, FilledFile, Recipe
from model.bundle.recipe_json import write_recipe_json

__all__ = ["RECIPE", "write_recipe"]

RECIPE = "recipe.json"


def write_recipe(
    bundle: Path,
    target: Path,
    fetched: Mapping[str, str],
    *,
    words_from: str = "",
    filled: Mapping[Path, FilledFile] = MappingProxyType({}),
) -> Recipe:
    """Writes the recipe of a bundle into the folder `target`, which must not exist and names the recipe.

    `fetched` says for files of the bundle at which URL they are, `filled` which are made from a package, by the files
    of their templates, which are copied. They are left out of the folder; and so are the words, if `words_from` is the
    id of another bundle that has them: they are found there by their checksums.

    Raises:
        FileExistsError: there is something at the target.
        ValueError: the bundle has no file of a name in `fetched` or `filled`.
        BundleDamaged: the bundle does not open.
    """
    manifest = open_bundle(bundle).manifest
    files = {file.name: file for file in manifest.files}
    elsewhere = {*fetched, *(each.name for each in filled.values())}
    if unknown := elsewhere - files.keys():
        raise ValueError(
            f"The bundle {manifest.id} has no file {', '.join(sorted(unknown))} that comes from elsewhere."
        )
    recipe = Recipe(
        target.name,
        manifest.display_name,
        manifest.id,
        tuple(FetchedFile(name, url, files[name].size, files[name].sha256) for name, url in sorted(fetched.items())),
        words_from,
        tuple(filled.values()),
    )
    target.mkdir(parents=True)
    for name in {MANIFEST, *files} - elsewhere - ({WORDS, VECTORS} if words_from else set()):
        shutil.copyfile(bundle / name, target / name)
    for template, each in filled.items():
        shutil.copyfile(template, target / each.template)
    (target / RECIPE).write_text(write_recipe_json(recipe), encoding="utf-8")
    return recipe
