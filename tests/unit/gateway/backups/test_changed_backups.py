"""Backups that somebody changed, with checksums that are right again: they write nothing but images of their suite."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.backends.vector_index import Item
from gateway.backups.errors import BackupDamaged, BackupTooNew
from gateway.backups.keeping import verify
from gateway.backups.manifest import (
    Manifest,
    SavedPart,
    StoredObject,
    images_from_json,
    manifest_from_json,
    manifest_key,
    manifest_to_json,
    stored,
)
from gateway.backups.place import BackupPlace
from gateway.backups.progress import Tally
from gateway.collections.names import DEFAULT_COLLECTION
from tests.unit.gateway.backups.suites import Suite, new_store, open_suite
from tests.unit.gateway.core import upload
from tests.unit.gateway.doubles import picture, sha256

FAR_FUTURE = 4_000_000_000.0
RED = sha256(picture("red"))


@pytest.fixture
async def source(tmp_path: Path) -> Suite:
    suite = await open_suite(tmp_path / "source" / "images")
    await suite.core.add(upload(0, picture("red"), "red"))
    return suite


@pytest.fixture
async def place(source: Suite) -> BackupPlace:
    """A place with a backup."""
    place = BackupPlace(new_store())
    await source.save(place)
    return place


def files(folder: Path) -> set[Path]:
    return {each for each in folder.rglob("*") if each.is_file()}


async def with_images(place: BackupPlace, text: bytes) -> tuple[str, Manifest]:
    """Store a newer backup, whose parts name the images of a JSON text; return the list's key, and the backup."""
    _, manifest = await place.manifest()
    images, _ = await place.put(text)
    indexes = [
        replace(index, parts=tuple(SavedPart(part.items, images) for part in index.parts)) for index in manifest.indexes
    ]
    changed = replace(manifest, indexes=tuple(indexes), create_time=manifest.create_time.replace(year=2_100))
    await place.put_manifest(changed)
    return f"objects/{images.sha256[:2]}/{images.sha256}", changed


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "abcd/../../../../cron.d"},
        {"sha256": "..index"},
        {"sha256": RED.upper()},
        {"sha256": f"{RED}\n"},
        {"sha256": sha256(b"another image")},  # the original would lie under the wrong name
        {"thumbnail": {"sha256": "../../secret", "size": 1}},
        {"original": 1},
    ],
)
async def test_a_list_with_other_names_than_those_of_images_is_damage(
    place: BackupPlace, tmp_path: Path, change: dict[str, object]
) -> None:
    original, _ = await place.put(picture("red"))
    image = {"sha256": RED, "original": {"sha256": RED, "size": original.size}, "thumbnail": None}
    key, manifest = await with_images(place, json.dumps([image | change]).encode())
    target, before = await open_suite(tmp_path / "target" / "images"), files(tmp_path)

    with pytest.raises(BackupDamaged, match=key):
        await target.restore(place)

    assert files(tmp_path) == before
    assert await target.content() == {"images-gallery": []}
    damages: list[str] = []
    await verify(place, manifest, Tally(), damages)
    assert [each for each in damages if key in each], damages


@pytest.mark.parametrize("sha256", ["../../shadow", "A" * 64, "a" * 63, ""])
async def test_a_manifest_with_malformed_checksums_is_damage(place: BackupPlace, sha256: str) -> None:
    _, manifest = await place.manifest()
    [index] = manifest.indexes
    changed = replace(manifest, indexes=(replace(index, parts=(SavedPart(StoredObject(sha256, 1), None),)),))
    backup_id, text = manifest_to_json(changed)

    with pytest.raises(BackupDamaged, match=manifest_key(backup_id)):
        manifest_from_json(backup_id, text)


async def test_a_manifest_of_a_newer_format_asks_for_the_newer_version(place: BackupPlace) -> None:
    text = json.dumps({"format_version": 2, "renamed": []}).encode()
    backup_id = f"21000101T000000.000Z-{stored(text).sha256[:12]}"

    with pytest.raises(BackupTooNew, match="newer version"):
        manifest_from_json(backup_id, text)


async def test_an_item_that_names_no_image_has_no_folder_deleted(source: Suite, tmp_path: Path) -> None:
    """An index comes out of a backup with whatever its items say."""
    index = tmp_path / "source" / "index"
    index.mkdir()
    (index / "truth").write_text("")
    await _name(source, "..index")

    await source.core.gallery.delete(DEFAULT_COLLECTION, ["red"])
    await source.core.sweeper.sweep(FAR_FUTURE)

    assert (index / "truth").exists()
    assert not [each for each in files(tmp_path) if each.parent.name == "released"]


async def test_an_item_that_names_no_image_is_counted_as_missing_in_a_backup(
    source: Suite, place: BackupPlace, tmp_path: Path
) -> None:
    await _name(source, "..index")

    tally = await source.save(place)

    assert tally.images_missing == 1
    [index] = (await place.manifest())[1].indexes
    for part in index.parts:
        if part.images is not None:
            assert images_from_json(await place.get(part.images, "a list")) == ()
    await (await open_suite(tmp_path / "target" / "images")).restore(place)


async def _name(suite: Suite, sha256: str) -> None:
    """Have the item "red" name another image."""
    name = suite.core.index.aliases["images-gallery"]
    held = suite.core.index.indexes[name]
    item = held.items["red"]
    attributes = json.loads(item.attributes)
    attributes["image"]["sha256"] = sha256
    changed = Item(item.id, json.dumps(attributes), item.vector)
    await suite.core.index.upsert(name, held.definition.model_id, [changed])
