"""Opens bundles with every check: format, checksums, shapes, and the vectors that the self-test must give.

A bundle that opens is complete, its files are those that its id was made of, and its vectors are within 1e-3 of those
where it was made. With a .tflite backbone the tolerance is 0.05: processors round the sums of an int8 network
differently (two sets of LiteRT kernels gave MobileNetV2 vectors up to 0.018 apart), and a wrong model is further off
than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.bundle.manifest import (
    TAGGABLE,
    TFLITE_BACKBONE,
    VECTORS,
    WORDS,
    File,
    Manifest,
    bundle_id,
    manifest_from_json,
)
from model.errors import BundleDamaged
from model.networks.network import Network
from serving.durable_files import sha256

MANIFEST = "manifest.json"
# The model card, for people. It states the bundle's id and figures measured with it, so the id cannot cover it.
CARD = "card.md"
SELF_TEST = "selftest.npz"
TOLERANCE = 1e-3
TFLITE_TOLERANCE = 0.05
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError)


@dataclass(frozen=True)
class WordTable:
    """The vocabulary, most frequent first: words, float16 (n, dimension) unit rows (mapped), and which may be tags."""

    words: tuple[str, ...]
    vectors: NDArray[np.float16]
    taggable: NDArray[np.bool_]


@dataclass(frozen=True)
class Bundle:
    """An opened bundle."""

    manifest: Manifest
    words: WordTable
    network: Network


def peek(folder: Path) -> Manifest:
    """Read the manifest only.

    Raises:
        BundleDamaged: it is missing or cannot be read.
        BundleTooNew: it has a newer format.
    """
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleDamaged(
            f"{folder} is not a bundle: it has no readable {MANIFEST}. Name the folder of a bundle, or fetch it again."
        ) from error
    return manifest_from_json(text)


def open_bundle(folder: Path) -> Bundle:
    """Open the bundle in a folder.

    Raises:
        BundleDamaged: a file is missing, changed, unreadable or not that of the id, or the self-test gives other
            vectors.
        BundleTooNew: it has a newer format.
    """
    manifest = peek(folder)
    check_files(folder, manifest)
    try:
        words = _words(folder, manifest)
        network = Network(
            folder / manifest.backbone,
            folder / manifest.head,
            input_size=manifest.input_size,
            feature_layer=manifest.feature_layer,
            pixel_scale=manifest.pixel_scale,
        )
        tolerance = TFLITE_TOLERANCE if manifest.backbone == TFLITE_BACKBONE else TOLERANCE
        _self_test(folder / SELF_TEST, words, network, tolerance)
    except _UNREADABLE as error:
        raise BundleDamaged(f"The bundle {manifest.id} cannot be read: {error}. Fetch it again.") from error
    return Bundle(manifest, words, network)


def check_files(folder: Path, manifest: Manifest) -> None:
    """Check every file of a bundle against its checksum, and the checksums against the bundle's id.

    Raises:
        BundleDamaged: a file is missing, changed or unreadable, or the manifest was changed.
    """
    for file in manifest.files:
        _check(folder, file)
    needed = {manifest.backbone, manifest.head, WORDS, VECTORS, TAGGABLE, SELF_TEST}
    if unlisted := needed - {file.name for file in manifest.files}:
        raise BundleDamaged(
            f"{MANIFEST} has no checksum of {', '.join(sorted(unlisted))}, so nothing shows what is in it. Fetch the "
            "bundle again."
        )
    if not _names(manifest):
        raise BundleDamaged(
            f"The files of the bundle {manifest.id[:80]!r} are not those of its id: {MANIFEST} was changed. Fetch the "
            "bundle again."
        )


def _names(manifest: Manifest) -> bool:
    """Return whether the id is the one that follows from the files."""
    try:
        return bundle_id(manifest.id.partition("@")[0], manifest.files) == manifest.id
    except ValueError:
        return False


def _check(folder: Path, file: File) -> None:
    path = folder / file.name
    if path.name != file.name:
        raise BundleDamaged(f"The manifest names a file outside the bundle: {file.name}. Fetch the bundle again.")
    try:
        digest = sha256(path)
    except OSError as error:
        raise BundleDamaged(f"{file.name} of the bundle is missing or unreadable. Fetch the bundle again.") from error
    if digest != file.sha256:
        raise BundleDamaged(f"{file.name} of the bundle was changed or damaged: its checksum differs. Fetch it again.")


def _words(folder: Path, manifest: Manifest) -> WordTable:
    # Not splitlines(): words from the web contain characters such as U+0085, which it takes for line ends.
    words = tuple((folder / WORDS).read_bytes().decode().removesuffix("\n").split("\n"))
    vectors: NDArray[np.float16] = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
    taggable: NDArray[np.bool_] = np.load(folder / TAGGABLE, allow_pickle=False)
    shapes = (len(words), *vectors.shape, *taggable.shape)
    if shapes != (manifest.word_count, manifest.word_count, manifest.dimension, manifest.word_count):
        raise BundleDamaged(f"The words of the bundle {manifest.id} and their vectors do not match: {shapes}.")
    return WordTable(words, vectors, taggable)


def _self_test(file: Path, words: WordTable, network: Network, tolerance: float) -> None:
    with np.load(file, allow_pickle=False) as test:
        pictures = float(np.abs(network(test["pixels"]) - test["pixel_vectors"]).max())
        rows = {word: row for row, word in enumerate(words.words)}
        chosen = words.vectors[[rows[word] for word in test["words"].tolist()]]
        vocabulary = float(np.abs(chosen.astype(np.float32) - test["word_vectors"]).max())
    for found, allowed in ((pictures, tolerance), (vocabulary, TOLERANCE)):
        if not found <= allowed:
            raise BundleDamaged(
                f"The bundle's self-test gives other vectors than where it was made (they differ by {found:.2g}; at "
                f"most {allowed} is allowed). Fetch it again; if that does not help, this machine computes differently."
            )
