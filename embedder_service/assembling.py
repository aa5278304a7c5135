"""Makes a bundle of what ships with its recipe, what was fetched or made for it, and what another bundle has.

The commit point is one rename: the model is there whole, with every check passed, or not at all.

1. Every file of the manifest is put into a temporary folder: a copy of what ships, a link to what does not change.
2. The manifest, and the model's card if there is one, are put beside them, and all is synced.
3. The folder is opened as the embedder would open it: checksums, shapes, self-test.
4. It is renamed to its place, and the parent is synced.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from embedder_service.recipes import OpenedRecipe
from model.bundle.manifest import File, Manifest
from model.bundle.reading import CARD, MANIFEST, open_bundle
from model.errors import RecipeUnusable
from serving.durable_files import link_or_copy, publish, sha256, sync

__all__ = ["assemble"]

Bundles = Iterable[tuple[Path, Manifest]]


def assemble(opened: OpenedRecipe, came: Mapping[str, Path], bundles: Bundles, folder: Path, target: Path) -> None:
    """Make the bundle in `folder`, which is recreated, and rename it to `target`, which must not exist.

    `came` is what was fetched, or made from packages, by its name in the bundle.

    Raises:
        RecipeUnusable: a file that comes from nowhere else is in none of the bundles.
        BundleDamaged: the files do not make a bundle that opens.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in opened.shipped:
        shutil.copyfile(opened.folder / file.name, folder / file.name)
    for name, path in came.items():
        link_or_copy(path, folder / name)
    at_hand = list(bundles)
    for file in opened.shared:
        link_or_copy(_find(file, at_hand, opened), folder / file.name)
    shutil.copyfile(opened.folder / MANIFEST, folder / MANIFEST)
    if (opened.folder / CARD).exists():
        shutil.copyfile(opened.folder / CARD, folder / CARD)
    for path in (*folder.iterdir(), folder):
        sync(path)
    open_bundle(folder)
    publish(folder, target)


def _find(file: File, bundles: Bundles, opened: OpenedRecipe) -> Path:
    """Return the undamaged file of a bundle that has that checksum."""
    for folder, manifest in bundles:
        for each in manifest.files:
            path = folder / each.name
            if each.sha256 == file.sha256 and path.exists() and sha256(path) == file.sha256:
                return path
    other = opened.recipe.words_from or "the bundle whose words it was made with"
    raise RecipeUnusable(
        f"The recipe {opened.recipe.name!r} takes {file.name} from another bundle, and none here has that file. Put "
        f"{other} into the folder of the models, then try again."
    )
