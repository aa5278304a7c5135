"""A written recipe opens, and one that does not match its manifest is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from embedder_service.errors import RecipeNotFound
from embedder_service.recipes import RecipeFolder
from model.bundle.reading import peek
from model.bundle.writing import write_recipe
from model.errors import RecipeUnusable
from tests.bundles import write_test_bundle, write_test_recipe

URL = "https://models.invalid/head.keras"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one bundle for all tests, because it takes seconds and no test changes it."""
    return write_test_bundle(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def folder(bundle: Path, tmp_path: Path) -> Path:
    return write_test_recipe(tmp_path, bundle, URL)


def change(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_a_recipe_states_the_source_of_each_file(folder: Path, bundle: Path) -> None:
    opened = RecipeFolder(folder.parent).open("small")
    shipped = {"backbone.keras", "taggable.npy", "selftest.npz"}
    assert {file.name for file in opened.shipped} == shipped
    assert {file.name for file in opened.shared} == {"words.txt", "words.npy"}
    assert {path.name for path in folder.iterdir()} == {"recipe.json", "manifest.json", *shipped}
    assert opened.manifest == peek(bundle)
    assert (opened.recipe.name, opened.recipe.model_id) == ("small", opened.manifest.id)
    [fetched] = opened.recipe.fetched
    assert (fetched.name, fetched.url) == ("head.keras", URL)
    assert opened.size == fetched.size == (bundle / "head.keras").stat().st_size


def test_an_unknown_recipe_is_reported_with_the_known_ones(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeNotFound, match="The recipes are: small"):
        RecipeFolder(folder.parent).open("large")
    with pytest.raises(RecipeNotFound, match="There are no recipes"):
        RecipeFolder(tmp_path / "none").open("small")


@pytest.mark.parametrize("name", ["", ".", "..", "../small", ".small"])
def test_a_recipe_name_cannot_leave_the_folder(folder: Path, name: str) -> None:
    shutil.copytree(folder, folder.parent / ".small")
    with pytest.raises(RecipeNotFound):
        RecipeFolder(folder.parent).open(name)


@pytest.mark.parametrize(
    "fields",
    [
        {"formatVersion": 3},
        {"filled": [{"name": "backbone.keras", "templateFile": "no.template.xz"}]},
        {"filled": [{"name": "no.tflite", "templateFile": "recipe.json"}]},
        {"name": "large"},
        {"modelId": "other@sha256:000000000000"},
        {"fetched": [{"name": "head.keras", "url": URL, "sizeBytes": "1", "sha256": "0" * 64}]},
        {"fetched": "head.keras"},
    ],
)
def test_a_recipe_that_does_not_match_its_manifest_is_refused(folder: Path, fields: dict[str, object]) -> None:
    change(folder / "recipe.json", **fields)
    with pytest.raises(RecipeUnusable):
        RecipeFolder(folder.parent).open("small")


def test_a_file_outside_the_bundle_is_refused(folder: Path) -> None:
    files = [{"name": "../secret", "sizeBytes": "1", "sha256": "0" * 64}]
    change(folder / "manifest.json", files=files)
    change(folder / "recipe.json", fetched=[])
    with pytest.raises(RecipeUnusable):
        RecipeFolder(folder.parent).open("small")


@pytest.mark.parametrize("name", ["recipe.json", "manifest.json"])
def test_an_unreadable_recipe_is_reported_with_its_folder(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\xff{")
    with pytest.raises(RecipeUnusable, match=str(folder)):
        RecipeFolder(folder.parent).open("small")


def test_a_recipe_needs_a_new_folder_and_known_files(bundle: Path, tmp_path: Path) -> None:
    write_test_recipe(tmp_path, bundle, URL)
    with pytest.raises(FileExistsError):
        write_test_recipe(tmp_path, bundle, URL)
    with pytest.raises(ValueError, match="no file tail"):
        write_recipe(bundle, tmp_path / "other", {"tail": URL})
