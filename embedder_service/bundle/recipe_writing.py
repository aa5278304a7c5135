"""Writes a recipe from a finished bundle: what ships of it, and where the rest comes from."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from embedder_service.bundle.manifest_json import VECTORS, WORDS
from embedder_service.bundle.reading import MANIFEST, open_bundle
from embedder_service.bundle.recipe import FetchedFile, Recipe
from embedder_service.bundle.recipe_json import write_recipe_json

__all__ = ["RECIPE", "write_recipe"]

RECIPE = "recipe.json"


def write_recipe(bundle: Path, target: Path, fetched: Mapping[str, str], *, words_from: str = "") -> Recipe:
    """Writes the recipe of a bundle into the folder `target`, which must not exist and names the recipe.

    `fetched` says for files of the bundle at which URL they are. They are left out of the folder, as are the words,
    which are found by their checksums in another bundle: `words_from` is the id of one that has them.

    Raises:
        FileExistsError: there is something at the target.
        ValueError: the bundle has no file of a name in `fetched`.
        BundleDamaged: the bundle does not open.
    """
    manifest = open_bundle(bundle).manifest
    files = {file.name: file for file in manifest.files}
    if unknown := fetched.keys() - files.keys():
        raise ValueError(f"The bundle {manifest.id} has no file {', '.join(sorted(unknown))} to be fetched.")
    recipe = Recipe(
        target.name,
        manifest.display_name,
        manifest.id,
        tuple(FetchedFile(name, url, files[name].size, files[name].sha256) for name, url in sorted(fetched.items())),
        words_from,
    )
    target.mkdir(parents=True)
    for name in {MANIFEST, *files} - {WORDS, VECTORS, *fetched}:
        shutil.copyfile(bundle / name, target / name)
    (target / RECIPE).write_text(write_recipe_json(recipe), encoding="utf-8")
    return recipe
