"""A bundle opens if and only if it is complete and undamaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from model.bundle.reading import open_bundle, peek
from model.errors import BundleDamaged, BundleTooNew
from serving.durable_files import sha256
from tests.bundles import INPUT_SIZE, WORDS, write_test_bundle

FILES = ("backbone.keras", "head.keras", "words.txt", "words.npy", "taggable.npy", "selftest.npz")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one bundle for all tests, because it takes seconds and no test changes it."""
    return write_test_bundle(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "bundle"))


def test_a_written_bundle_opens_and_embeds(original: Path) -> None:
    bundle = open_bundle(original)
    assert bundle.words.words == WORDS
    assert {file.name for file in bundle.manifest.files} == set(FILES)
    assert bundle.manifest.id.startswith("test@sha256:")
    for count in (1, 3, 5):
        vectors = bundle.network(np.full((count, INPUT_SIZE, INPUT_SIZE, 3), 7, np.uint8))
        assert vectors.shape == (count, 300)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_another_seed_gives_another_id(original: Path, tmp_path: Path) -> None:
    other = write_test_bundle(tmp_path, seed=1)
    assert peek(other).id != peek(original).id


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_byte_is_found_in_every_file(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleDamaged, match=name):
        open_bundle(folder)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleDamaged, match=name):
        open_bundle(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_that_the_manifest_does_not_list_is_found(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + b"changed")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = [file for file in manifest["files"] if file["name"] != name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleDamaged, match=f"no checksum of {name}"):
        open_bundle(folder)


def test_a_changed_file_whose_checksum_was_changed_too_is_found(folder: Path) -> None:
    (folder / "words.txt").write_text("".join(f"{word}\n" for word in reversed(WORDS)))
    manifest = json.loads((folder / "manifest.json").read_text())
    [words] = [file for file in manifest["files"] if file["name"] == "words.txt"]
    words["sha256"] = sha256(folder / "words.txt")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleDamaged, match="are not those of its id"):
        open_bundle(folder)


@pytest.mark.parametrize("given", ["other@sha256:46ab0c28820d", "test", "", "../test@sha256:46ab0c28820d"])
def test_an_id_that_does_not_follow_from_the_files_is_refused(folder: Path, given: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"id": given}))
    with pytest.raises(BundleDamaged, match="are not those of its id"):
        open_bundle(folder)


def test_a_newer_format_with_unknown_fields_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"formatVersion": 3, "newField": [1]}))
    with pytest.raises(BundleTooNew, match="newer semsearch"):
        open_bundle(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"formatVersion": 1}', '{"formatVersion": "x"}'])
def test_an_invalid_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(BundleDamaged):
        open_bundle(folder)


def test_a_file_outside_the_bundle_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][0]["name"] = "../secret"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleDamaged, match="outside"):
        open_bundle(folder)


def test_a_bundle_is_never_overwritten(original: Path) -> None:
    with pytest.raises(FileExistsError):
        write_test_bundle(original.parent)
    assert [path.name for path in original.parent.iterdir()] == [original.name]


@pytest.mark.parametrize(("dimension", "fits"), [(0, False), (49, False), (50, True), (1_024, True), (1_025, False)])
def test_a_manifest_has_a_dimension_of_50_to_1024(folder: Path, dimension: int, fits: bool) -> None:
    manifest = json.loads((folder / "manifest.json").read_text()) | {"dimension": dimension}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if fits:
        assert peek(folder).dimension == dimension
        with pytest.raises(BundleDamaged, match="do not match"):
            open_bundle(folder)
    else:
        with pytest.raises(BundleDamaged, match=f"{dimension:,} numbers each, .* bundles of 50 to 1,024"):
            peek(folder)
