"""Writes a bundle. The commit point is one rename: a bundle is there whole, or not at all.

1. All files are written into a temporary folder beside the target, and fsynced.
2. Their checksums make the id; the manifest is written last, and fsynced.
3. The folder is opened as the embedder would open it, and the caller may look at it: what does not pass is not kept.
4. The folder is renamed to its place, and the parent is fsynced.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.bundle.manifest import File, Manifest, bundle_id
from model.bundle.manifest_json import (
    KERAS_BACKBONE,
    KERAS_HEAD,
    TAGGABLE,
    TFLITE_BACKBONE,
    TFLITE_HEAD,
    VECTORS,
    WORDS,
    write_manifest,
)
from model.bundle.reading import MANIFEST, SELF_TEST, Bundle, WordTable, open_bundle
from model.networks.network import TFLITE, Network
from serving.durable_files import publish, sha256, sync

__all__ = ["BundleContent", "write_bundle"]

SELF_TEST_WORDS = 16


@dataclass(frozen=True)
class BundleContent:
    """What a bundle is made of, and a few pictures, uint8 (n, size, size, 3), for its self-test.

    Backbone and head are .keras or .tflite files; a .tflite head goes with such a backbone only.
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
    """Writes the bundle at `target`, which must not exist, and returns its manifest.

    Filled in are its id and files, and what the words say: how many they are, and their dimension.
    `manifest.feature_layer` and `pixel_scale` are taken as they are; which kinds of files it has, the content says.
    `check` sees the bundle opened, before it takes its place; what it raises leaves nothing behind.

    Raises:
        FileExistsError: there is something at the target; a bundle is never changed.
        BundleDamaged: what was given does not open as a bundle.
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
        (folder / MANIFEST).write_text(write_manifest(complete), encoding="utf-8")
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
