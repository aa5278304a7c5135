"""A model is carried to another embedder as files, completely or not at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from embedder_service import transferring
from embedder_service.models import ModelFolder
from embedder_service.transferring import ModelImport
from model.bundle.reading import check_files, peek
from model.errors import BundleDamaged
from serving.durable_files import temporary_beside
from tests.bundles import write_test_bundle


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    folder = tmp_path_factory.mktemp("source")
    bundle = write_test_bundle(folder, seed=1, name="own", tflite=True)
    (bundle / "card.md").write_text("# Card")
    return ModelFolder(folder, bundle, ())


@pytest.fixture
def target(source: ModelFolder, tmp_path: Path) -> ModelFolder:
    return ModelFolder(tmp_path / "models", source.default, ())


def model_id(source: ModelFolder) -> str:
    return peek(source.default).id


def parts(source: ModelFolder) -> list[tuple[str, bytes]]:
    return [
        (file.name, part)
        for file in transferring.files_of(source, model_id(source))
        for part in transferring.read(source, model_id(source), file.name)
    ]


def test_an_imported_model_has_the_same_files(source: ModelFolder, target: ModelFolder) -> None:
    importing = ModelImport(target, model_id(source))
    assert not importing.is_here()
    for name, part in parts(source):
        importing.add(name, part)
    manifest = importing.complete()
    importing.discard()

    check_files(target.folder(manifest.id), manifest)
    assert transferring.files_of(target, manifest.id) == transferring.files_of(source, manifest.id)
    assert ModelImport(target, manifest.id).is_here()
    assert [path.name for path in target.models.iterdir()] == [manifest.id.replace("@sha256:", "-")]


def test_a_damaged_file_leaves_nothing(source: ModelFolder, target: ModelFolder) -> None:
    importing = ModelImport(target, model_id(source))
    for name, part in parts(source):
        importing.add(name, part[:-1] if name == "words.txt" else part)
    with pytest.raises(BundleDamaged, match=r"words\.txt"):
        importing.complete()
    importing.discard()

    assert not list(target.models.iterdir())


def test_a_model_with_files_of_another_one_is_imported_again(source: ModelFolder, target: ModelFolder) -> None:
    """The manifest was changed too: it says nothing of the file that is another one."""
    changed = Path(shutil.copytree(source.default, target.models / "changed"))
    (changed / "words.txt").write_text("changed")
    manifest = json.loads((changed / "manifest.json").read_text())
    manifest["files"] = [file for file in manifest["files"] if file["name"] != "words.txt"]
    (changed / "manifest.json").write_text(json.dumps(manifest))

    assert not ModelImport(ModelFolder(target.models, changed, ()), model_id(source)).is_here()


def test_files_of_another_model_are_refused(source: ModelFolder, target: ModelFolder) -> None:
    importing = ModelImport(target, "other@sha256:000000000000")
    for name, part in parts(source):
        importing.add(name, part)
    with pytest.raises(BundleDamaged, match="not of other@sha256"):
        importing.complete()
    importing.discard()


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/b", ".hidden", "", "nul\x00", "line\n", "x" * 300])
def test_files_stay_in_the_folder(source: ModelFolder, target: ModelFolder, name: str) -> None:
    with pytest.raises(BundleDamaged, match="no name of a file"):
        next(iter(transferring.read(source, model_id(source), name)))
    importing = ModelImport(target, model_id(source))
    with pytest.raises(BundleDamaged, match="no name of a file"):
        importing.add(name or "/", b"content")
    importing.discard()


def test_a_file_comes_once(source: ModelFolder, target: ModelFolder) -> None:
    importing = ModelImport(target, model_id(source))
    importing.add("a", b"1")
    importing.add("b", b"2")
    with pytest.raises(BundleDamaged, match="'a' comes twice"):
        importing.add("a", b"3")
    importing.discard()


def test_what_killed_imports_left_is_removed(source: ModelFolder, target: ModelFolder) -> None:
    old, recent = (temporary_beside(target.models / "own") for _ in range(2))
    old.mkdir(parents=True)
    recent.mkdir()
    os.utime(old, (0, 0))

    importing = ModelImport(target, model_id(source))
    importing.add("manifest.json", b"{")
    importing.discard()

    assert list(target.models.iterdir()) == [recent]
