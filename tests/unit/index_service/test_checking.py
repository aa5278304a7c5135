"""Checks find damage, and a rebuild repairs everything that is derived from the store."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index_service.attributes import is_canonical
from index_service.definition import EngineKind, IndexDefinition
from index_service.descriptions import CheckProgress, CheckReport, Damage
from index_service.items import Delete
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.checking import MANIFEST, MEMORY, STORE
from index_service.local.manifest import MANIFEST_FILE
from index_service.local.segments import SEGMENTS_FOLDER
from index_service.local.store import STORE_FILE
from index_service.local.vector_index import VectorIndex
from index_service.vectors import not_of_length_1, unit
from tests.unit.index_service.conftest import NEVER, OpenCatalog, fill, found_ids
from tests.unit.index_service.test_merging import PausedEngine

DEADLINE = 20.0
ROWS = 4_500
DIMENSION = 8


def report(index: VectorIndex) -> CheckReport:
    *progress, last = index.check()
    assert isinstance(last, CheckReport)
    done = [step.done for step in progress if isinstance(step, CheckProgress)]
    assert done == sorted(done)
    return last


def damages(index: VectorIndex) -> tuple[Damage, ...]:
    return report(index).damages


def rebuild(index: VectorIndex) -> None:
    index.optimize(lambda _done, _total: None, rebuild=True).result(DEADLINE)


def filled(catalog: Catalog) -> tuple[VectorIndex, NDArray[np.float32]]:
    """Return an index with a segment, dead rows in it, and live rows, and the vectors."""
    index = catalog.create(IndexDefinition("items", DIMENSION, "model", engine=EngineKind.ANNOY))
    vectors = fill(index, ROWS)
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    index.delete(Delete(("7", "8"))).result(DEADLINE)
    fill(index, 10, seed=1, first=ROWS)
    return index, vectors


def segment_of(data_folder: Path) -> Path:
    (segment,) = (data_folder / "items" / SEGMENTS_FOLDER).iterdir()
    return segment


def overwrite(path: Path, at: int, content: bytes) -> None:
    """Write into the file itself, as a disk fault would, so that mapped memory changes too."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def test_nothing_is_found_in_an_intact_index(open_data: OpenCatalog) -> None:
    index, _ = filled(open_data())
    assert report(index) == CheckReport((), ROWS + 8, 1)
    empty = open_data().create(IndexDefinition("empty", DIMENSION, "model"))
    assert report(empty) == CheckReport((), 0, 0)


@pytest.mark.parametrize("name", ["vectors.npy", "rows.npy", "forest.ann", "order.npy"])
@pytest.mark.parametrize("cut", [False, True])
def test_a_rebuild_repairs_an_altered_file_of_a_segment(
    open_data: OpenCatalog, data_folder: Path, name: str, cut: bool
) -> None:
    index, vectors = filled(open_data())
    segment = segment_of(data_folder)
    if cut:  # a new file, because the process has the old one mapped
        content = (segment / name).read_bytes()
        (segment / name).unlink()
        (segment / name).write_bytes(content[:-7])
    else:
        overwrite(segment / name, 4_000, b"xyz")
    (found,) = damages(index)
    assert (found.part, found.rebuild_repairs) == (segment.name, True)
    assert name in found.problem

    rebuild(index)
    assert damages(index) == ()
    assert not segment.exists()
    assert found_ids(index, vectors[3], 1) == ["3"]
    stats = open_data().get("items").stats()
    assert (stats.repairs, stats.segment_row_count, stats.item_count) == ((), ROWS + 8, ROWS + 8)


def test_a_segment_that_differs_from_the_store_is_rebuilt(open_data: OpenCatalog, data_folder: Path) -> None:
    index, vectors = filled(open_data())
    other = unit(-vectors[:1])[0]
    connection = sqlite3.connect(data_folder / "items" / STORE_FILE)
    with connection:
        connection.execute("UPDATE vectors SET vector = ? WHERE row = 1", (other.tobytes(),))
    connection.close()
    (found,) = damages(index)
    assert (found.part, found.rebuild_repairs) == (segment_of(data_folder).name, True)
    assert found.problem == 'items whose vector differs from the store: 1, first "0"'
    rebuild(index)
    assert damages(index) == ()
    assert found_ids(index, other, 1) == ["0"]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: overwrite(path, 30, b"xyz")])
def test_a_manifest_that_is_damaged_or_gone_is_found_and_rebuilt(
    open_data: OpenCatalog, data_folder: Path, damage: Callable[[Path], None]
) -> None:
    index, _ = filled(open_data())
    damage(data_folder / "items" / MANIFEST_FILE)
    (found,) = damages(index)
    assert (found.part, found.rebuild_repairs) == (MANIFEST, True)
    rebuild(index)
    assert damages(index) == ()
    assert open_data().get("items").stats().repairs == ()


@pytest.mark.parametrize(
    ("statement", "part", "problem"),
    [
        ("DELETE FROM vectors WHERE row = 5", STORE, 'items without a vector of the right size: 1, first "4"'),
        ("UPDATE vectors SET vector = x'00' WHERE row IN (5, 6)", STORE, "items without a vector of the right size: 2"),
        ("UPDATE vectors SET vector = zeroblob(32) WHERE row = 5", STORE, "items whose vector is not of length 1: 1"),
        ("UPDATE items SET attributes = '{' WHERE row = 5", STORE, "items whose attributes cannot be read: 1"),
        ("INSERT INTO vectors VALUES (999999, x'00')", STORE, "vectors without an item: 1"),
        ("DELETE FROM items WHERE row = 10", MEMORY, "rows that the store does not have: 1"),
    ],
)
def test_a_fault_in_the_store_is_found_and_no_rebuild_repairs_it(
    open_data: OpenCatalog, data_folder: Path, statement: str, part: str, problem: str
) -> None:
    index, vectors = filled(open_data())
    connection = sqlite3.connect(data_folder / "items" / STORE_FILE)
    with connection:
        connection.execute(statement)
    connection.close()
    found = [each for each in damages(index) if each.part == part]
    assert any(problem in each.problem for each in found), found
    assert all(each.rebuild_repairs == (part == MEMORY) for each in found)
    assert found_ids(index, vectors[3], 1) == ["3"]


def test_a_damaged_page_of_the_store_is_found(open_data: OpenCatalog, data_folder: Path) -> None:
    filled(open_data())
    index = open_data().get("items")  # from here on, the log is empty and pages are read from the file
    store = data_folder / "items" / STORE_FILE
    overwrite(store, store.stat().st_size // 32_768 * 16_384, b"\xff" * 64)
    assert any(each.part == STORE and "SQLite" in each.problem and not each.rebuild_repairs for each in damages(index))


def test_a_check_finds_no_fault_in_concurrent_writes_and_merges(open_data: OpenCatalog) -> None:
    index, _ = filled(open_data())
    steps = index.check()
    next(steps)
    next(steps)
    index.delete(Delete(("1", "4499"))).result(DEADLINE)
    fill(index, 20, seed=5, first=10)
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    last = list(steps)[-1]
    assert last == CheckReport((), ROWS + 8, 1)
    assert damages(index) == ()


def test_searches_and_writes_continue_during_a_rebuild(data_folder: Path, stack: ExitStack) -> None:
    release = threading.Event()
    engine = PausedEngine(lambda: None if release.wait(DEADLINE) else pytest.fail("never released"))
    catalog = stack.enter_context(open_catalog(data_folder, lambda _: engine, NEVER))
    index = catalog.create(IndexDefinition("items", 4, "model", engine=EngineKind.EXACT))
    vectors = fill(index, 20)
    release.set()
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    fill(index, 5, seed=1, first=20)
    release.clear()
    engine.building.clear()
    steps: list[tuple[int, int]] = []
    merge = index.optimize(lambda done, total: steps.append((done, total)), rebuild=True)
    assert engine.building.wait(DEADLINE)
    index.delete(Delete(("0", "21"))).result(DEADLINE)
    new = fill(index, 1, seed=9, first=99)
    during = [found_ids(index, query, 30) for query in vectors]
    release.set()
    merge.result(DEADLINE)
    assert [found_ids(index, query, 30) for query in vectors] == during
    assert found_ids(index, new[0], 1) == ["99"]
    stats = index.stats()
    assert (stats.segment_count, stats.segment_row_count, stats.deleted_row_count, stats.live_row_count) == (
        1, 25, 2, 1,
    )  # fmt: skip
    assert (steps[0], steps[-1]) == ((0, 25), (25, 25))
    assert damages(index) == ()


def test_an_index_without_items_can_be_rebuilt(open_data: OpenCatalog) -> None:
    index = open_data().create(IndexDefinition("items", DIMENSION, "model"))
    rebuild(index)
    fill(index, 3)
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    index.delete(Delete(("0", "1", "2"))).result(DEADLINE)
    rebuild(index)
    stats = index.stats()
    assert (stats.segment_count, stats.item_count) == (0, 0)
    assert damages(index) == ()


def test_every_normalised_vector_has_length_1() -> None:
    random = np.random.default_rng(0)
    for dimension in (1, 3, 300, 4_096):
        wild = (random.normal(size=(50, dimension)) * 10.0 ** random.integers(-6, 6, (50, 1))).astype(np.float32)
        assert not len(not_of_length_1(unit(wild)))
    odd = np.array([[np.nan, 0], [np.inf, 0], [0, 0], [1, 0], [0.999, 0]], dtype=np.float32)
    assert not_of_length_1(odd).tolist() == [0, 1, 2, 4]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("{}", True),
        ('{"a":[1,0.5,null,true,"ü"],"b":{"c":1e+300}}', True),
        ('{"a":' * 16 + "1" + "}" * 16, True),
        ('{"a":' * 17 + "1" + "}" * 17, False),
        ('{"a": 1}', False),
        ('{"a":1.0}', False),
        ('{"a":1,"a":1}', False),
        ('{"a":Infinity}', False),
        ('{"a":1' + "0" * 400 + "}", False),
        ("[]", False),
        ("", False),
    ],
)
def test_only_what_an_upsert_keeps_is_canonical(text: str, canonical: bool) -> None:
    assert is_canonical(text) == canonical
