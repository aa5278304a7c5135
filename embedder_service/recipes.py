"""The recipes that ship: folders that describe how to make a bundle from files that are fetched or made locally.

Contract: a recipe that opens matches its manifest. Each file of the bundle ships, is fetched (with the same size and
checksum in both), is made from a package and a template, or must be in another bundle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import structlog

from embedder_service.errors import RecipeNotFound
from model.bundle.manifest import File, Manifest
from model.bundle.reading import MANIFEST, peek
from model.bundle.recipe import RECIPE, FilledFile, Recipe, recipe_from_json
from model.errors import BundleError, RecipeUnusable

log = structlog.get_logger(__name__)

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class OpenedRecipe:
    """A recipe, the manifest of its bundle, and the source of each of the bundle's files."""

    recipe: Recipe
    manifest: Manifest
    folder: Path

    @property
    def shipped(self) -> tuple[File, ...]:
        """The files in the recipe's folder."""
        return tuple(file for file in self.manifest.files if (self.folder / file.name).exists())

    @property
    def shared(self) -> tuple[File, ...]:
        """The files that another bundle must have."""
        recipe = self.recipe
        ours = {file.name for files in (self.shipped, recipe.fetched, recipe.filled) for file in files}
        return tuple(file for file in self.manifest.files if file.name not in ours)

    @property
    def filled(self) -> tuple[tuple[FilledFile, File], ...]:
        """The files that are made from a package: how to make each, and its entry in the manifest."""
        files = {file.name: file for file in self.manifest.files}
        return tuple((each, files[each.name]) for each in self.recipe.filled)

    @property
    def size(self) -> int:
        """The bytes of all files that are fetched or made from packages."""
        return sum(file.size for file in self.recipe.fetched) + sum(file.size for _, file in self.filled)


@dataclass(frozen=True)
class RecipeFolder:
    """The folder of the recipes."""

    recipes: Path

    def names(self) -> list[str]:
        """Return the names of all recipes."""
        return sorted(file.parent.name for file in self.recipes.glob(f"[!.]*/{RECIPE}"))

    def usable(self) -> list[OpenedRecipe]:
        """Return the recipes that can be used, by name; log why others cannot."""
        opened = []
        for name in self.names():
            try:
                opened.append(self.open(name))
            except RecipeUnusable as error:
                log.warning("a recipe cannot be used", recipe=name, error=str(error))
        return opened

    def open(self, name: str) -> OpenedRecipe:
        """Open a recipe.

        Raises:
            RecipeNotFound: no recipe has that name.
            RecipeUnusable: it cannot be read, or does not match its manifest.
        """
        names = self.names()
        if name not in names:
            raise RecipeNotFound(name, names)
        folder = self.recipes / name
        try:
            recipe = recipe_from_json((folder / RECIPE).read_text(encoding="utf-8"))
            manifest = peek(folder)
        except (OSError, UnicodeDecodeError, BundleError, RecipeUnusable) as error:
            raise RecipeUnusable(f"The recipe {name!r} in {folder} cannot be used: {error}") from error
        files = {(file.name, file.size, file.sha256) for file in manifest.files}
        fits = (
            (recipe.name, recipe.model_id) == (name, manifest.id)
            and all((file.name, file.size, file.sha256) in files for file in recipe.fetched)
            and {file.name for file in recipe.filled} <= {name for name, _, _ in files}
            and all((folder / Path(file.template).name).is_file() for file in recipe.filled)
            and all(file.name == Path(file.name).name and _SHA256.fullmatch(file.sha256) for file in manifest.files)
        )
        if not fits:
            raise RecipeUnusable(
                f"The {RECIPE} in {folder} does not match the {MANIFEST} beside it: a name, an id, a file or a "
                "template differs. Get the recipe again."
            )
        return OpenedRecipe(recipe, manifest, folder)
