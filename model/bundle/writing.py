"""Writes bundles and recipes. One rename is the commit point: a bundle exists completely or not at all.

1. All files are written into a temporary folder beside the target.
2. Their checksums make the id; the manifest is written last, and everything is fsynced.
3. The folder is opened as the embedder would open it, and the caller may check it. If a check fails, it is removed.
4. The folder is renamed to the target, and the parent is fsynced.

A recipe is written from a finished bundle: it holds the files that ship, and states where the others come from.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from model.bundle.manifest import (
    KERAS_BACKBONE,
    KERAS_HEAD,
    TAGGABLE,
    TFLITE_BACKBONE,
    TFLITE_HEAD,
    VECTORS,
    WORDS,
    File,
    Manifest,
    bundle_id,
    manifest_to_json,
)
from model.bundle.reading import MANIFEST, SELF_TEST, Bundle, WordTable, open_bundle
from model.bundle.recipe import RECIPE, FetchedFile, FilledFile, Recipe, recipe_to_json
from model.networks.network import TFLITE, Network
from serving.durable_files import publish, sha256, sync

SELF_TEST_WORDS = 16


@dataclass(frozen=True)
class BundleContent:
    """The parts of a bundle, and a few images, uint8 (n, size, size, 3), for its self-test.

    Backbone and head are .keras or .tflite files; a .tflite head needs a .tflite backbone.
    """

    backbone: Path
    head: Path
    words: WordTable
    test_pixels: NDArray[np.uint8]


def write_bundle(
    name: str,
    content: BundleContent,
    manifest: Manifest,
    target: Path,
    check: Callable[[Bundle], None] = lambda bundle: None,
) -> Manifest:
    """Write the bundle at `target`, which must not exist, and return its manifest.

    The id, files, word count, dimension and file kinds of `manifest` are replaced by those of the content; its
    `feature_layer` and `pixel_scale` are kept. `check` gets the opened bundle before the rename; if it raises, nothing
    is left behind.

    Raises:
        FileExistsError: the target exists; a bundle is never changed.
        BundleDamaged: the content does not open as a bundle.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists, and a bundle is never changed. Remove it, or write to another place.")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    backbone = TFLITE_BACKBONE if content.backbone.suffix == TFLITE else KERAS_BACKBONE
    head = TFLITE_HEAD if content.head.suffix == TFLITE else KERAS_HEAD
    manifest = dataclasses.replace(manifest, backbone=backbone, head=head)
    try:
        _write_files(folder, content, manifest)
        files = tuple(_describe(path) for path in sorted(folder.iterdir()))
        complete = dataclasses.replace(
            manifest,
            id=bundle_id(name, files),
            files=files,
            dimension=content.words.vectors.shape[1],
            word_count=len(content.words.words),
        )
        (folder / MANIFEST).write_text(manifest_to_json(complete), encoding="utf-8")
        folder.chmod(0o755)
        for path in (*folder.iterdir(), folder):
            sync(path)
        check(open_bundle(folder))
        publish(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return complete


def _write_files(folder: Path, content: BundleContent, manifest: Manifest) -> None:
    shutil.copyfile(content.backbone, folder / manifest.backbone)
    shutil.copyfile(content.head, folder / manifest.head)
    words = content.words
    (folder / WORDS).write_bytes("".join(f"{word}\n" for word in words.words).encode())
    np.save(folder / VECTORS, words.vectors.astype(np.float16))
    np.save(folder / TAGGABLE, words.taggable)
    network = Network(
        folder / manifest.backbone,
        folder / manifest.head,
        input_size=manifest.input_size,
        feature_layer=manifest.feature_layer,
        pixel_scale=manifest.pixel_scale,
    )
    rows = np.linspace(0, len(words.words) - 1, min(SELF_TEST_WORDS, len(words.words))).astype(int)
    np.savez(
        folder / SELF_TEST,
        pixels=content.test_pixels,
        pixel_vectors=network(content.test_pixels),
        words=np.array([words.words[row] for row in rows]),
        word_vectors=words.vectors[rows].astype(np.float32),
    )


def _describe(path: Path) -> File:
    return File(path.name, path.stat().st_size, sha256(path))


def write_recipe(
    bundle: Path,
    target: Path,
    fetched: Mapping[str, str],
    *,
    words_from: str = "",
    filled: Mapping[Path, FilledFile] = MappingProxyType({}),
) -> Recipe:
    """Write the recipe of a bundle into the folder `target`, which must not exist and whose name is the recipe's.

    `fetched` maps file names of the bundle to URLs. `filled` maps templates, which are copied, to the files that are
    made from packages. The folder leaves out these files. It also leaves out the words if `words_from` is the id of
    another bundle that has them; they are found there by their checksums.

    Raises:
        FileExistsError: the target exists.
        ValueError: a name in `fetched` or `filled` is not a file of the bundle.
        BundleDamaged: the bundle does not open.
    """
    manifest = open_bundle(bundle).manifest
    files = {file.name: file for file in manifest.files}
    elsewhere = {*fetched, *(each.name for each in filled.values())}
    if unknown := elsewhere - files.keys():
        raise ValueError(
            f"The bundle {manifest.id} has no file {', '.join(sorted(unknown))} that could come from elsewhere."
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
    (target / RECIPE).write_text(recipe_to_json(recipe), encoding="utf-8")
    return recipe
