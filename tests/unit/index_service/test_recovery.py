"""Whatever the state of the files, the service opens, answers correctly, and reports what it repaired."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index_service.definition import EngineKind, IndexDefinition
from index_service.errors import StoreDamaged, StoreTooNew
from index_service.items import Delete
from index_service.local import manifest, store
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.manifest import MANIFEST_FILE, Manifest
from index_service.local.reads import StoreReader
from index_service.local.segments import SEGMENTS_FOLDER
from index_service.local.store import STORE_FILE
from index_service.local.vector_index import VectorIndex
from serving.durable_files import temporary_beside
from tests.unit.index_service.conftest import NEVER, OpenCatalog, fill, found_ids
from tests.unit.index_service.damage_found import damage_found
from tests.unit.index_service.engines_in_process import engine_of

DEADLINE = 20.0
ROWS = 200


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path, place: int, content: bytes) -> None:
    """Change a file as a disk does that loses bits: nothing else about it changes."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(place, os.SEEK_SET if place >= 0 else os.SEEK_END)
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


DAMAGES = pytest.mark.parametrize("damage", [flip, truncate, empty, Path.unlink])


def with_segment(catalog: Catalog) -> tuple[VectorIndex, NDArray[np.float32]]:
    index = catalog.create(IndexDefinition("items", 8, "model", engine=EngineKind.ANNOY))
    vectors = fill(index, ROWS)
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    index.delete(Delete(("7", "8"))).result(DEADLINE)
    return index, vectors


def answers(index: VectorIndex, vectors: NDArray[np.float32]) -> list[list[str]]:
    return [found_ids(index, query, 5) for query in vectors[::10]]


@pytest.mark.parametrize("name", ["vectors.npy", "rows.npy", "forest.ann", "order.npy"])
@DAMAGES
def test_a_damaged_segment_is_rebuilt_and_answers_stay_right(
    open_data: OpenCatalog, data_folder: Path, name: str, damage: Callable[[Path], None]
) -> None:
    index, vectors = with_segment(open_data())
    expected = answers(index, vectors)
    open_data().close()
    (segment,) = (data_folder / "items" / SEGMENTS_FOLDER).iterdir()
    damage(segment / name)

    with damage_found() as found:
        index = open_data().get("items")
    assert answers(index, vectors) == expected
    (problem,) = found
    assert name in problem
    assert segment.name in problem
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    assert answers(index, vectors) == expected
    assert index.stats().segment_row_count == ROWS - 2

    with damage_found() as found:
        index = open_data().get("items")
    assert found == []
    assert index.stats().segment_row_count == ROWS - 2
    assert answers(index, vectors) == expected


@pytest.mark.parametrize(
    ("name", "place", "content"),
    [
        ("vectors.npy", 0, b"\x00"),
        ("vectors.npy", 0, b"PK\x03\x04"),
        ("rows.npy", 0, b"\x00"),
        ("rows.npy", 20, b"f4"),
        ("rows.npy", -8 * 100, b"\x00"),
        ("order.npy", 0, b"PK\x03\x04"),
        ("order.npy", -1, b"\x7f"),
        ("plan.json", 0, b"\x00"),
    ],
)
def test_a_file_that_the_disk_made_unreadable_is_rebuilt(
    open_data: OpenCatalog, data_folder: Path, name: str, place: int, content: bytes
) -> None:
    index, vectors = with_segment(open_data())
    expected = answers(index, vectors)
    open_data().close()
    (segment,) = (data_folder / "items" / SEGMENTS_FOLDER).iterdir()
    overwrite(segment / name, place, content)

    with damage_found() as found:
        index = open_data().get("items")
    assert answers(index, vectors) == expected
    (problem,) = found
    assert problem.startswith(f"segment {segment.name}: ")
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    assert answers(index, vectors) == expected


# Alterations with which the file still opens.
@pytest.mark.parametrize(("name", "place"), [("vectors.npy", -2), ("forest.ann", -2), ("plan.json", -2)])
def test_damage_by_the_disk_is_found_and_repaired_by_itself(
    open_data: OpenCatalog, data_folder: Path, name: str, place: int
) -> None:
    index, vectors = with_segment(open_data())
    expected = answers(index, vectors)
    open_data().close()
    (segment,) = (data_folder / "items" / SEGMENTS_FOLDER).iterdir()
    overwrite(segment / name, place, bytes([(segment / name).read_bytes()[place] ^ 1]))

    with damage_found() as found:
        index = open_data().get("items")
        deadline = time.monotonic() + DEADLINE
        while segment.exists() and time.monotonic() < deadline:
            index.optimize(lambda _done, _total: None).result(DEADLINE)  # merges and checks wait for each other
    assert found == [f"segment {segment.name}: {name} does not match its checksum; all rows will be rebuilt"]
    assert answers(index, vectors) == expected
    assert (index.stats().repairs, index.stats().segment_row_count) == ((), ROWS - 2)
    with damage_found() as found:
        open_data()
    assert found == []


@DAMAGES
def test_a_damaged_manifest_costs_a_rebuild_and_no_item(
    open_data: OpenCatalog, data_folder: Path, damage: Callable[[Path], None]
) -> None:
    index, vectors = with_segment(open_data())
    expected = answers(index, vectors)
    open_data().close()
    damage(data_folder / "items" / MANIFEST_FILE)
    with damage_found() as found:
        index = open_data().get("items")
    assert answers(index, vectors) == expected
    assert "manifest" in found[0]


def test_a_manifest_of_another_store_is_ignored(open_data: OpenCatalog, data_folder: Path) -> None:
    catalog = open_data()
    _, vectors = with_segment(catalog)
    other = catalog.create(IndexDefinition("other", 8, "model", engine=EngineKind.ANNOY))
    fill(other, ROWS, seed=5)
    other.optimize(lambda _done, _total: None).result(DEADLINE)
    expected = answers(catalog.get("items"), vectors)
    catalog.close()
    for name in (MANIFEST_FILE, SEGMENTS_FOLDER):
        target = data_folder / "items" / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        (data_folder / "other" / name).rename(target)
    with damage_found() as found:
        index = open_data().get("items")
    assert "another store" in found[0]
    assert answers(index, vectors) == expected


def test_partial_files_of_a_stopped_process_are_removed(open_data: OpenCatalog, data_folder: Path) -> None:
    with_segment(open_data())
    open_data().close()
    segments = data_folder / "items" / SEGMENTS_FOLDER
    (named,) = segments.iterdir()
    leftovers = [
        temporary_beside(data_folder / "half-created"),
        temporary_beside(segments / "segment-half-built"),
        segments / "segment-never-named",
    ]
    for folder in leftovers:
        folder.mkdir()
        (folder / "vectors.npy").write_bytes(b"half")
    with damage_found() as found:
        open_data()
    assert found == []
    assert list(segments.iterdir()) == [named]
    assert not any(folder.exists() for folder in leftovers)


@DAMAGES
def test_a_damaged_store_is_reported_and_other_indexes_work(
    open_data: OpenCatalog, data_folder: Path, damage: Callable[[Path], None]
) -> None:
    catalog = open_data()
    with_segment(catalog)
    healthy = catalog.create(IndexDefinition("healthy", 8, "model", engine=EngineKind.EXACT))
    vectors = fill(healthy, 10)
    catalog.close()
    store = data_folder / "items" / STORE_FILE
    if damage is flip:
        store.write_bytes(b"x" * 100 + store.read_bytes()[100:])
    else:
        damage(store)
    catalog = open_data()
    assert found_ids(catalog.get("healthy"), vectors[2], 1) == ["2"]
    with pytest.raises(StoreDamaged, match=STORE_FILE):
        catalog.get("items")
    assert catalog.delete("items") == 0
    assert not (data_folder / "items").exists()


def test_a_large_store_is_checked_after_opening(
    open_data: OpenCatalog, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, vectors = with_segment(open_data())
    open_data().close()
    path = data_folder / "items" / STORE_FILE

    def find(reader: StoreReader) -> None:
        raise StoreDamaged(path, "a page is on two lists")

    monkeypatch.setattr(store, "_SMALL_BYTES", 0)
    monkeypatch.setattr(StoreReader, "check_structure", find)
    index = open_data().get("items")
    assert found_ids(index, vectors[3], 1) == ["3"]
    for rebuild in (False, True):  # they run after the check, and do not repair what it found
        index.optimize(lambda _done, _total: None, rebuild=rebuild).result(DEADLINE)
    (problem,) = index.stats().repairs
    assert "a page is on two lists" in problem


def test_a_store_of_a_newer_version_is_refused_with_a_sentence(open_data: OpenCatalog, data_folder: Path) -> None:
    with_segment(open_data())
    open_data().close()
    with sqlite3.connect(data_folder / "items" / STORE_FILE) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'format_version'")
    connection.close()
    with pytest.raises(StoreTooNew, match="version 99"):
        open_data().get("items")


def test_a_manifest_of_a_newer_version_is_refused_and_kept(
    open_data: OpenCatalog, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, vectors = with_segment(open_data())
    open_data().close()
    path = data_folder / "items" / MANIFEST_FILE
    found = Manifest.read(path.parent)
    assert found is not None
    with monkeypatch.context() as newer:
        newer.setattr(manifest, "FORMAT_VERSION", 99)
        found.write(path.parent)
    content = path.read_bytes()
    with pytest.raises(StoreTooNew, match=r"version 99.*run the newer program"):
        open_data().get("items")
    assert path.read_bytes() == content
    with monkeypatch.context() as newer:
        newer.setattr(manifest, "FORMAT_VERSION", 99)
        with damage_found() as damage:
            index = open_data().get("items")
        assert (damage, found_ids(index, vectors[3], 1)) == ([], ["3"])


def test_a_copied_data_folder_is_checked_by_content(
    open_data: OpenCatalog, data_folder: Path, stack: ExitStack
) -> None:
    index, vectors = with_segment(open_data())
    expected = answers(index, vectors)
    open_data().close()
    copy = data_folder.with_name("copy")
    shutil.copytree(data_folder, copy)
    with damage_found() as found:
        index = stack.enter_context(open_catalog(copy, engine_of, NEVER)).get("items")
    assert found == []
    assert answers(index, vectors) == expected


def test_an_unreadable_index_does_not_stop_others(open_data: OpenCatalog, data_folder: Path) -> None:
    catalog = open_data()
    with_segment(catalog)
    fill(catalog.create(IndexDefinition("healthy", 8, "model", engine=EngineKind.EXACT)), 10)
    catalog.close()
    manifest = data_folder / "items" / MANIFEST_FILE
    manifest.unlink()
    manifest.mkdir()  # reading it raises an OSError, even for root
    catalog = open_data()
    assert catalog.get("healthy").stats().item_count == 10
    with pytest.raises(StoreDamaged, match="items"):
        catalog.get("items")
