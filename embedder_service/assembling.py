"""Assembles a bundle from the files that ship with its recipe, were obtained for it, or belong to another bundle.

One rename is the commit point: the model exists completely, with every check passed, or not at all.

1. Every file of the manifest is put into a temporary folder: files that ship are copied, others are linked or copied.
2. The manifest, and the model card if one exists, are added, and everything is synced.
3. The folder is opened as the embedder would open it: checksums, shapes, self-test.
4. It is renamed to the target, and the parent is synced.
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

Bundles = Iterable[tuple[Path, Manifest]]


def assemble(opened: OpenedRecipe, obtained: Mapping[str, Path], bundles: Bundles, folder: Path, target: Path) -> None:
    """Make the bundle in `folder`, which is recreated, and rename it to `target`, which must not exist.

    `obtained` are the files that were fetched or made from packages, by their names in the bundle.

    Raises:
        RecipeUnusable: a file has no other source, and none of the bundles has it.
        BundleDamaged: the files do not make a bundle that opens.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in opened.shipped:
        shutil.copyfile(opened.folder / file.name, folder / file.name)
    for name, path in obtained.items():
        link_or_copy(path, folder / name)
    local = list(bundles)
    for file in opened.shared:
        link_or_copy(_find(file, local, opened), folder / file.name)
    shutil.copyfile(opened.folder / MANIFEST, folder / MANIFEST)
    if (opened.folder / CARD).exists():
        shutil.copyfile(opened.folder / CARD, folder / CARD)
    for path in (*folder.iterdir(), folder):
        sync(path)
    open_bundle(folder)
    publish(folder, target)


def _find(file: File, bundles: Bundles, opened: OpenedRecipe) -> Path:
    """Return the path of an undamaged file with the same checksum in a bundle."""
    for folder, manifest in bundles:
        for each in manifest.files:
            path = folder / each.name
            if each.sha256 == file.sha256 and path.exists() and sha256(path) == file.sha256:
                return path
    other = opened.recipe.words_from or "the bundle whose words it was made with"
    raise RecipeUnusable(
        f"The recipe {opened.recipe.name!r} takes {file.name} from another bundle, but no bundle here has that file. "
        f"Put {other} into the models folder, then try again."
    )
