"""A model made from an installed package is the same on every machine; a failure says what to do."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from embedder_service.models import ModelFolder
from embedder_service.pulling import Progress, Pulls
from embedder_service.recipes import RecipeFolder
from model.bundle.manifest import manifest_from_json
from model.bundle.reading import open_bundle, peek
from model.errors import BundleDamaged, PackageFileWrong, PackageMissing, RecipeError, RecipeUnusable
from serving.durable_files import sha256
from tests.bundles import write_test_bundle
from tests.packaged_network import PACKAGE_FILE, VERSION, install_package, write_packaged_recipe, write_parameters


class Place(NamedTuple):
    """A recipe, the folder of its installed package, and the target of its model."""

    recipe: Path
    site: Path
    models: ModelFolder
    target: Path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the recipe once, because it takes seconds; tests work on copies."""
    folder = tmp_path_factory.mktemp("packaged")
    words = write_test_bundle(folder, name="words")
    write_packaged_recipe(folder / "recipes", install_package(folder / "site"), words)
    return folder


@pytest.fixture
def place(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    shutil.copytree(original / "site", tmp_path / "site")
    shutil.copytree(original / "recipes", tmp_path / "recipes")
    monkeypatch.syspath_prepend(tmp_path / "site")
    recipe = tmp_path / "recipes" / "packaged"
    models = ModelFolder(tmp_path / "models", original / "words", (original / "words",))
    return Place(recipe, tmp_path / "site", models, models.models / peek(recipe).id.replace("@sha256:", "-"))


async def pull(place: Place) -> list[Progress]:
    with ThreadPoolExecutor(1) as threads:
        pulls = Pulls(RecipeFolder(place.recipe.parent), place.models, "", threads)
        return [progress async for progress in pulls.pull("packaged")]


def change(recipe: Path, **fields: object) -> None:
    file = recipe / "recipe.json"
    content = json.loads(file.read_text())
    content["filled"][0] |= fields
    file.write_text(json.dumps(content))


async def refused(place: Place, error: type[RecipeError], words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        await pull(place)
    assert "\n" not in str(raised.value)
    assert not place.target.exists()


async def test_a_package_and_a_template_make_a_bundle(place: Place, original: Path) -> None:
    *_, last = await pull(place)
    assert last.made == peek(place.recipe)
    assert last.bytes_total == (place.target / "backbone.tflite").stat().st_size
    assert sorted(path.name for path in place.target.iterdir()) == [
        "backbone.tflite", "head.tflite", "manifest.json", "selftest.npz", "taggable.npy", "words.npy", "words.txt",
    ]  # fmt: skip
    made = open_bundle(place.target)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    vectors = made.network(pixels)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for number in range(5):
        np.testing.assert_allclose(made.network(pixels[number : number + 1])[0], vectors[number], atol=1e-5)
    assert made.network(pixels[:0]).shape == (0, 300)


def test_a_model_of_tflite_files_needs_no_tensorflow(place: Place) -> None:
    asyncio.run(pull(place))
    script = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom model.bundle.reading import open_bundle\n"
        f"open_bundle(Path({str(place.target)!r})).network(np.zeros((3, 32, 32, 3), np.uint8))\n"
        "import embedder_service.__main__\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "[]\n", done.stderr


async def test_a_missing_package_is_named(place: Place) -> None:
    shutil.rmtree(place.site / f"tiny_weights-{VERSION}.dist-info")
    await refused(place, PackageMissing, "tiny-weights 1.0, but it is not installed. Run `make setup`")


async def test_a_package_of_another_version_is_named(place: Place) -> None:
    shutil.rmtree(place.site)
    install_package(place.site, version="2.0")
    await refused(place, PackageMissing, "tiny-weights 1.0, but version 2.0 is installed. Run `make setup`")


async def test_a_package_without_its_file_is_refused(place: Place) -> None:
    (place.site / PACKAGE_FILE).unlink()
    await refused(place, PackageFileWrong, r"weights\.pth.*cannot be read.*make setup")


async def test_a_truncated_package_file_is_refused(place: Place) -> None:
    os.truncate(place.site / PACKAGE_FILE, 1_000)
    await refused(place, PackageFileWrong, r"weights\.pth.*1,000 bytes.*make setup")


async def test_a_package_file_with_one_other_byte_is_refused(place: Place) -> None:
    file = place.site / PACKAGE_FILE
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    await refused(place, PackageFileWrong, "SHA-256")


async def test_a_file_that_runs_a_command_is_refused(place: Place) -> None:
    class Command:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {place.site / 'ran'}",)

    file = place.site / PACKAGE_FILE
    write_parameters(file, {"_fc.weight": Command()})
    change(place.recipe, packageFileSizeBytes=str(file.stat().st_size), packageFileSha256=sha256(file))
    await refused(place, PackageFileWrong, r"asks for posix\.system")
    assert not (place.site / "ran").exists()


async def test_other_weights_of_the_same_shapes_are_refused(place: Place) -> None:
    shutil.rmtree(place.site)
    file = install_package(place.site, seed=1)
    change(place.recipe, packageFileSizeBytes=str(file.stat().st_size), packageFileSha256=sha256(file))
    await refused(place, RecipeUnusable, r"backbone\.template\.xz and tiny-weights do not give the backbone\.tflite")


async def test_a_refused_model_is_made_once_the_package_is_right(place: Place) -> None:
    file = place.site / PACKAGE_FILE
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    await refused(place, PackageFileWrong, "bytes")
    file.write_bytes(content)
    assert (await pull(place))[-1].made


def test_an_older_version_would_refuse_the_formats(place: Place, original: Path) -> None:
    """The new formats are 2, which version 1 refuses as too new; content that version 1 can read stays 1."""
    for file, version in (
        (place.recipe / "recipe.json", 2),
        (place.recipe / "manifest.json", 2),
        (original / "words" / "manifest.json", 1),
    ):
        assert json.loads(file.read_text())["formatVersion"] == version


def test_a_tflite_head_after_a_keras_backbone_is_refused(place: Place) -> None:
    manifest = json.loads((place.recipe / "manifest.json").read_text())
    manifest["backbone"] |= {"kerasFile": "backbone.keras"}
    del manifest["backbone"]["tfliteFile"]
    with pytest.raises(BundleDamaged, match=r"head\.tflite after backbone\.tflite"):
        manifest_from_json(json.dumps(manifest))
