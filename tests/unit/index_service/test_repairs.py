"""Damage is reported until it is repaired, and no longer: an alert depends on it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from index_service.definition import EngineKind, IndexDefinition
from index_service.errors import BuildFailed
from index_service.items import Delete
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.manifest import MANIFEST_FILE
from index_service.local.merging import Merger
from index_service.local.segments import SEGMENTS_FOLDER
from index_service.local.vector_index import VectorIndex
from index_service.metrics import measured
from tests.unit.index_service.conftest import NEVER, OpenCatalog, fill
from tests.unit.index_service.test_merging import PausedEngine
from tests.unit.index_service.test_metrics import value
from tests.unit.index_service.test_recovery import overwrite, with_segment

DEADLINE = 20.0
VECTORS = f"{SEGMENTS_FOLDER}/*/vectors.npy"


class FailingEngine(PausedEngine):
    """Builds only when it is `allowed` to, and fails until it is `sound`."""

    def __init__(self) -> None:
        super().__init__(self._wait)
        self.allowed = threading.Event()
        self.sound = True

    def _wait(self) -> None:
        assert self.allowed.wait(DEADLINE)
        if not self.sound:
            raise BuildFailed("The disk is full.")


@pytest.fixture
def engine() -> FailingEngine:
    return FailingEngine()


@pytest.fixture
def damaged(data_folder: Path, engine: FailingEngine, stack: ExitStack) -> Callable[[str], Catalog]:
    """Alter the end of a file of an index with a segment; then open it with an engine that waits."""

    def damage(pattern: str) -> Catalog:
        with open_catalog(data_folder, lambda _: PausedEngine(), NEVER) as catalog:
            index = catalog.create(IndexDefinition("items", 8, "model", engine=EngineKind.EXACT))
            fill(index, 20)
            index.optimize(lambda _done, _total: None).result(DEADLINE)
        (path,) = (data_folder / "items").glob(pattern)
        path.write_bytes(path.read_bytes()[:-7])
        catalog = stack.enter_context(open_catalog(data_folder, lambda _: engine, NEVER))
        stack.callback(engine.allowed.set)
        return catalog

    return damage


def finish_merges(index: VectorIndex) -> None:
    """Wait until the merges that are queued have ended."""
    index.optimize(lambda _done, _total: None).result(DEADLINE)


def rebuild(index: VectorIndex) -> None:
    index.optimize(lambda _done, _total: None, rebuild=True).result(DEADLINE)


@pytest.mark.parametrize("pattern", [VECTORS, MANIFEST_FILE])
def test_damage_found_at_the_start_is_reported_until_it_is_rebuilt(
    damaged: Callable[[str], Catalog], engine: FailingEngine, pattern: str
) -> None:
    before = value("damages_total") or 0
    with capture_logs() as logs:
        catalog = damaged(pattern)
        index = catalog.get("items")
        assert engine.building.wait(DEADLINE)
        (problem,) = index.stats().repairs
        with measured(catalog):
            assert value("repairs", index="items") == 1
            engine.allowed.set()
            finish_merges(index)
            assert value("repairs", index="items") == 0
    assert index.stats().repairs == ()
    assert index.stats().segment_row_count == 20
    assert value("damages_total") == before + 1
    told = [(line["event"], line["problem"]) for line in logs if "problem" in line]
    assert told == [("damage found", problem), ("damage repaired", problem)]


def test_damage_is_reported_until_a_rebuild_succeeds(damaged: Callable[[str], Catalog], engine: FailingEngine) -> None:
    engine.sound = False
    engine.allowed.set()
    index = damaged(VECTORS).get("items")
    with pytest.raises(BuildFailed):
        finish_merges(index)
    with pytest.raises(BuildFailed):
        rebuild(index)
    assert len(index.stats().repairs) == 1
    engine.sound = True
    rebuild(index)
    assert index.stats().repairs == ()


def test_damage_whose_rows_are_all_gone_needs_no_rebuild(
    damaged: Callable[[str], Catalog], engine: FailingEngine
) -> None:
    engine.sound = False
    engine.allowed.set()
    index = damaged(VECTORS).get("items")
    with pytest.raises(BuildFailed):
        finish_merges(index)
    index.delete(Delete(tuple(str(number) for number in range(20)))).result(DEADLINE)
    finish_merges(index)
    assert index.stats().repairs == ()


def test_damage_of_a_segment_in_use_is_reported_until_all_is_rebuilt_from_the_store(
    open_data: OpenCatalog, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_segment(open_data())
    open_data().close()
    (file,) = (data_folder / "items").glob(VECTORS)
    overwrite(file, -2, bytes([file.read_bytes()[-2] ^ 1]))

    ended = threading.Event()
    monkeypatch.setattr(Merger, "_repair", lambda *_: ended.set())  # as if it failed
    index = open_data().get("items")
    assert ended.wait(DEADLINE)
    (problem,) = index.stats().repairs
    assert file.parent.name in problem
    finish_merges(index)  # it copies the rows as the segment has them
    assert index.stats().repairs == (problem,)
    rebuild(index)
    assert index.stats().repairs == ()
