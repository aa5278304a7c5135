"""Targets that read models: manifests, the files of a bundle, recipes, and weights in pickles."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
from google.protobuf import json_format
from semsearch.bundle.v1 import recipe_pb2

from embedder_service.recipes import RecipeFolder
from model.bundle import reading
from model.bundle.manifest import (
    KERAS_BACKBONE,
    KERAS_HEAD,
    TAGGABLE,
    VECTORS,
    WORDS,
    File,
    bundle_id,
    manifest_from_json,
)
from model.bundle.reading import MANIFEST, SELF_TEST, open_bundle
from model.bundle.recipe import RECIPE
from model.errors import BundleError, PackageFileWrong, RecipeError
from model.packaged.package_weights import read_parameters
from tests.fuzz.target import Target

_STARTER = Path(__file__).parents[2] / "starter"
_RECIPE = "photos"
_WORDS, _DIMENSION = ("dog", "sea", "red"), 50


def read_manifest(content: bytes) -> None:
    """Parse a manifest."""
    try:
        manifest_from_json(content.decode("utf-8", "replace"))
    except BundleError:
        return


def open_with_any_file(content: bytes) -> None:
    """Open a bundle of which one file, chosen by the first byte, has any content, and the checksum of that."""
    files = dict(_sound_files())
    if content:
        name = sorted(files)[content[0] % len(files)]
        files[name] = content[1:]
    files |= dict.fromkeys((KERAS_BACKBONE, KERAS_HEAD), b"")
    folder = _folder()
    for name, each in files.items():
        (folder / name).write_bytes(each)
    described = [File(name, len(each), hashlib.sha256(each).hexdigest()) for name, each in files.items()]
    listed = [{"name": each.name, "sizeBytes": each.size, "sha256": each.sha256} for each in described]
    changed = {"id": bundle_id("fuzz", described), "files": listed}
    (folder / MANIFEST).write_text(json.dumps({**_manifest(), **changed}))
    with patch.object(reading, "Network", _Network):
        try:
            bundle = open_bundle(folder)
        except BundleError:
            return
    assert bundle.words.vectors.shape == (len(_WORDS), _DIMENSION)


class _Network:
    """A network that gives every picture the same vector."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __call__(self, pixels: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.ones((len(pixels), _DIMENSION), np.float32)


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="semsearch-fuzz-"))


@cache
def _manifest() -> dict[str, object]:
    """Return what a bundle's manifest must have, beside its files."""
    shipped = json.loads((_STARTER / "bundle" / MANIFEST).read_text())
    needed = {name: shipped[name] for name in ("formatVersion", "backbone", "head")}
    return {**needed, "dimension": _DIMENSION, "words": {"count": len(_WORDS)}}


@cache
def _sound_files() -> dict[str, bytes]:
    vectors = np.eye(len(_WORDS), _DIMENSION, dtype=np.float16)
    test = io.BytesIO()
    np.savez(
        test,
        pixels=np.zeros((1, 2, 2, 3), np.uint8),
        pixel_vectors=np.ones((1, _DIMENSION), np.float32),
        words=np.array(_WORDS[:1]),
        word_vectors=vectors[:1].astype(np.float32),
    )
    return {
        WORDS: ("\n".join(_WORDS) + "\n").encode(),
        VECTORS: _array(vectors),
        TAGGABLE: _array(np.ones(len(_WORDS), bool)),
        SELF_TEST: test.getvalue(),
    }


def _array(values: np.ndarray) -> bytes:  # type: ignore[type-arg]
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def open_recipe(content: bytes) -> None:
    """Open a folder of recipes; what opens names only files in its own folder."""
    folder = _folder() / _RECIPE
    folder.mkdir(exist_ok=True)
    recipe, _, manifest = content.partition(b"\x00")
    (folder / RECIPE).write_bytes(recipe)
    (folder / MANIFEST).write_bytes(manifest or (_STARTER / "recipes" / _RECIPE / MANIFEST).read_bytes())
    try:
        opened = RecipeFolder(folder.parent).open(_RECIPE)
    except RecipeError:
        return
    assert opened.size >= 0
    for name in (file.name for files in (opened.shipped, opened.shared, opened.recipe.fetched) for file in files):
        assert Path(name).name == name


def _recipes() -> list[bytes]:
    folder = _STARTER / "recipes" / _RECIPE
    recipe, manifest = (folder / RECIPE).read_bytes(), (folder / MANIFEST).read_bytes()
    message = recipe_pb2.Recipe(format_version=1, name=_RECIPE, model_id=json.loads(manifest)["id"])
    short = json_format.MessageToJson(message).encode()
    return [recipe, short, recipe + b"\x00" + manifest]


def read_weights(content: bytes) -> None:
    """Read the parameters of a network from a file of pickles; nothing in it may run."""
    file = _folder() / "weights.pth"
    file.write_bytes(content)
    try:
        parameters = read_parameters(file)
    except PackageFileWrong:
        return
    assert sum(each.nbytes for each in parameters.values()) <= 16 * len(content) * max(1, len(parameters))


TARGETS = {
    "manifest": Target(read_manifest, lambda: [(_STARTER / "bundle" / MANIFEST).read_bytes()], max_bytes=8_192),
    "bundle": Target(
        open_with_any_file,
        lambda: [bytes([place]) + _sound_files()[name] for place, name in enumerate(sorted(_sound_files()))],
    ),
    "recipe": Target(open_recipe, _recipes, max_bytes=16_384),
    # The corpus has files of weights; making them here would load TensorFlow.
    "weights": Target(read_weights),
}
