import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from index_service.definition import EngineKind, IndexDefinition
from index_service.engines.contract import Progress
from index_service.engines.exact import ExactEngine, ExactSearcher
from index_service.errors import BuildFailed, BuildStopped, StorageFull
from index_service.items import Delete, NewItem, Upsert
from index_service.local import merging, store
from index_service.local.catalog import open_catalog
from index_service.local.merge_plan import Thresholds, plan, plan_all
from index_service.local.reads import StoreReader
from index_service.local.segments import SEGMENTS_FOLDER
from index_service.local.snapshot import LiveRows, Segment, Snapshot
from index_service.thread_work import log_failure
from index_service.vectors import Vectors
from tests.unit.index_service.conftest import NEVER, OpenCatalog, fill, found_ids, random_units

DEADLINE = 20.0
QDRANT = Thresholds()


def snapshot(live: int, *segments: tuple[int, int]) -> Snapshot:
    """Return a snapshot with `live` live rows, and segments given as (rows, dead rows)."""
    parts = []
    for number, (rows, dead) in enumerate(segments):
        vectors = np.zeros((rows, 1), dtype=np.float32)
        numbers = np.arange(rows) + 10**6 * number
        parts.append(Segment(numbers, vectors, np.arange(rows) >= dead, ExactSearcher(vectors), name=str(number)))
    rows = np.arange(live) + 10**9
    empty = LiveRows.of(rows, np.zeros((live, 1), dtype=np.float32), np.ones(live, dtype=np.bool_))
    return Snapshot(1, tuple(parts), empty)


def folded(state: Snapshot) -> set[str] | None:
    chosen = plan(state, QDRANT)
    return None if chosen is None else {segment.name for segment in chosen.segments}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (snapshot(0), None),
        (snapshot(9_999, (50_000, 9_999)), None),
        (snapshot(10_000), set()),
        (snapshot(10_000, (50_000, 0)), set()),
        (snapshot(10_000, (50_000, 0), (9_000, 0)), {"1"}),
        (snapshot(10_000, (18_000, 0), (9_000, 0)), {"0", "1"}),
        (snapshot(0, (50_000, 10_000)), {"0"}),
        (snapshot(0, (50_000, 10_000), (80_000, 0)), {"0"}),
        (snapshot(0, (999, 999)), None),
        (snapshot(0, (1_000, 200)), {"0"}),
    ],
)
def test_due_merges_follow_the_thresholds(state: Snapshot, expected: set[str] | None) -> None:
    assert folded(state) == expected


@pytest.mark.parametrize(
    ("state", "due"),
    [
        (snapshot(0), False),
        (snapshot(0, (10, 0)), False),
        (snapshot(1, (10, 0)), True),
        (snapshot(0, (10, 1)), True),
        (snapshot(0, (10, 0), (10, 0)), True),
    ],
)
def test_folding_everything_leaves_one_clean_segment(state: Snapshot, due: bool) -> None:
    assert (plan_all(state) is not None) == due


class PausedEngine(ExactEngine):
    """Calls `during` in the middle of a build, and `after` when it opens the result."""

    def __init__(self, during: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None) -> None:
        self.during = during
        self.after = after
        self.building = threading.Event()

    def build(self, vectors_file: Path, folder: Path, progress: Progress) -> tuple[str, ...]:
        self.building.set()
        self.during()
        return super().build(vectors_file, folder, progress)

    def open(self, vectors: Vectors, folder: Path) -> ExactSearcher:
        self.after()
        return super().open(vectors, folder)


def test_writes_and_searches_continue_during_a_merge(data_folder: Path, stack: ExitStack) -> None:
    release = threading.Event()
    engine = PausedEngine(lambda: None if release.wait(DEADLINE) else pytest.fail("never released"))
    catalog = stack.enter_context(open_catalog(data_folder, lambda _: engine, NEVER))
    index = catalog.create(IndexDefinition("items", 4, "model", engine=EngineKind.EXACT))
    vectors = fill(index, 20)
    merge = index.optimize(lambda _done, _total: None)
    assert engine.building.wait(DEADLINE)

    index.delete(Delete(("0", "1"))).result(DEADLINE)
    moved = random_units(9, 2, 4)
    index.upsert(Upsert((NewItem("2", "{}", moved[0]), NewItem("new", "{}", moved[1])))).result(DEADLINE)
    during = [found_ids(index, query, 30) for query in vectors]
    release.set()
    merge.result(DEADLINE)

    assert [found_ids(index, query, 30) for query in vectors] == during
    assert found_ids(index, moved[0], 1) == ["2"]
    stats = index.stats()
    assert (stats.segment_row_count, stats.deleted_row_count, stats.live_row_count) == (20, 3, 2)
    stack.close()
    index = stack.enter_context(open_catalog(data_folder, lambda _: ExactEngine(), NEVER)).get("items")
    assert [found_ids(index, query, 30) for query in vectors] == during
    assert index.stats().repairs == ()


@pytest.mark.parametrize(("error", "count"), [(BuildFailed("no"), 1), (BuildStopped("closed"), 0)])
def test_a_merge_that_fails_is_logged_but_not_one_that_a_close_stops(error: Exception, count: int) -> None:
    merge: Future[None] = Future()
    log_failure(merge)
    with capture_logs() as logs:
        merge.set_exception(error)
    assert len(logs) == count


def test_a_merge_that_fails_changes_nothing(data_folder: Path, stack: ExitStack) -> None:
    def fail() -> None:
        raise BuildFailed("no")

    catalog = stack.enter_context(open_catalog(data_folder, lambda _: PausedEngine(fail), NEVER))
    index = catalog.create(IndexDefinition("items", 4, "model", engine=EngineKind.EXACT))
    vectors = fill(index, 20)
    with pytest.raises(BuildFailed):
        index.optimize(lambda _done, _total: None).result(DEADLINE)
    assert found_ids(index, vectors[3], 1) == ["3"]
    assert index.stats().live_row_count == 20
    assert list((data_folder / "items" / SEGMENTS_FOLDER).iterdir()) == []


def test_a_full_disk_fails_the_merge_with_a_clear_error(data_folder: Path, stack: ExitStack) -> None:
    def fill_disk() -> None:
        raise OSError(28, "No space left on device")

    catalog = stack.enter_context(open_catalog(data_folder, lambda _: PausedEngine(fill_disk), NEVER))
    index = catalog.create(IndexDefinition("items", 4, "model", engine=EngineKind.EXACT))
    fill(index, 20)
    with pytest.raises(StorageFull, match="Nothing that was acknowledged is lost"):
        index.optimize(lambda _done, _total: None).result(DEADLINE)


@pytest.mark.parametrize("moment", ["during", "after"])
def test_a_merge_that_outlives_its_index_spares_its_namesake(data_folder: Path, stack: ExitStack, moment: str) -> None:
    reached, release = threading.Event(), threading.Event()

    def pause() -> None:
        reached.set()
        assert release.wait(DEADLINE)

    catalog = stack.enter_context(open_catalog(data_folder, lambda _: PausedEngine(**{moment: pause}), NEVER))
    definition = IndexDefinition("items", 4, "model", engine=EngineKind.EXACT)
    index = catalog.create(definition)
    fill(index, 20)
    merge = index.optimize(lambda _done, _total: None)
    assert reached.wait(DEADLINE)
    assert catalog.delete("items") == 20
    fill(catalog.create(definition), 3)
    release.set()
    with pytest.raises((BuildFailed, OSError)):
        merge.result(DEADLINE)
    stack.close()
    kept = stack.enter_context(open_catalog(data_folder, lambda _: ExactEngine(), NEVER)).get("items").stats()
    assert (kept.item_count, kept.repairs) == (3, ())


def test_a_queued_merge_of_a_deleted_index_leaves_no_folder(data_folder: Path, stack: ExitStack) -> None:
    release = threading.Event()
    engine = PausedEngine(lambda: None if release.wait(DEADLINE) else pytest.fail("never released"))
    catalog = stack.enter_context(open_catalog(data_folder, lambda _: engine, NEVER))
    definitions = [IndexDefinition(name, 4, "model", engine=EngineKind.EXACT) for name in ("first", "second")]
    merges = []
    for definition in definitions:
        index = catalog.create(definition)
        fill(index, 20)
        merges.append(index.optimize(lambda _done, _total: None))
    assert engine.building.wait(DEADLINE)
    catalog.delete("second")
    release.set()
    merges[0].result(DEADLINE)
    with pytest.raises(BuildFailed, match="closed"):
        merges[1].result(DEADLINE)
    assert not (data_folder / "second").exists()
    assert catalog.create(definitions[1]).stats().item_count == 0


def test_progress_ends_with_all_rows(open_data: OpenCatalog) -> None:
    index = open_data().create(IndexDefinition("items", 4, "model"))
    fill(index, 2_500)
    progress: list[tuple[int, int]] = []
    index.optimize(lambda done, total: progress.append((done, total))).result(DEADLINE)
    assert progress[0] == (0, 2_500)
    assert progress[-1] == (2_500, 2_500)
    assert progress == sorted(progress)


def test_a_background_merge_starts_by_itself(data_folder: Path, stack: ExitStack) -> None:
    merged = threading.Event()
    thresholds = Thresholds(full_scan_threshold=10)
    catalog = stack.enter_context(open_catalog(data_folder, lambda _: PausedEngine(merged.set), thresholds))
    index = catalog.create(IndexDefinition("items", 4, "model", engine=EngineKind.EXACT))
    fill(index, 9)
    assert not merged.is_set()
    fill(index, 1, first=9)
    assert merged.wait(DEADLINE)


def test_a_failed_merge_is_logged_and_others_continue(data_folder: Path, stack: ExitStack) -> None:
    def break_down() -> None:
        raise ZeroDivisionError("unexpected")

    def engine(definition: IndexDefinition) -> PausedEngine:
        return PausedEngine(break_down) if definition.name == "broken" else PausedEngine()

    catalog = stack.enter_context(open_catalog(data_folder, engine, Thresholds(full_scan_threshold=10)))
    with capture_logs() as logs:
        for name in ("broken", "whole"):
            fill(catalog.create(IndexDefinition(name, 4, "model", engine=EngineKind.EXACT)), 9)
        fill(catalog.get("broken"), 1, first=9)
        catalog.get("whole").optimize(lambda _done, _total: None).result(DEADLINE)
    failures = [line for line in logs if line.get("exc_info")]
    assert [line["event"] for line in failures] == ["merge failed"]
    assert failures[0]["about"].endswith("broken")
    assert not catalog.background[0].is_well
    assert catalog.get("whole").stats().segment_count == 1
    catalog.delete("broken")
    assert catalog.background[0].is_well


def test_a_merge_does_not_wait_for_checks_of_other_indexes(
    data_folder: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking, release = threading.Event(), threading.Event()

    def never_ends(reader: StoreReader) -> None:
        checking.set()
        assert release.wait(DEADLINE)

    with open_catalog(data_folder, lambda _: ExactEngine(), NEVER) as catalog:
        for name in ("large", "other"):
            fill(catalog.create(IndexDefinition(name, 4, "model", engine=EngineKind.EXACT)), 9)
        catalog.get("large").optimize(lambda _done, _total: None).result(DEADLINE)
    monkeypatch.setattr(store, "_SMALL_BYTES", 0)
    monkeypatch.setattr(StoreReader, "check_structure", never_ends)
    catalog = stack.enter_context(open_catalog(data_folder, lambda _: ExactEngine(), NEVER))
    stack.callback(release.set)
    assert checking.wait(DEADLINE)
    catalog.get("other").optimize(lambda _done, _total: None).result(DEADLINE)
    assert catalog.get("other").stats().segment_count == 1


def test_bulk_rows_are_folded_once_at_the_end(data_folder: Path, stack: ExitStack) -> None:
    engine = PausedEngine()
    thresholds = Thresholds(full_scan_threshold=10)
    catalog = stack.enter_context(open_catalog(data_folder, lambda _: engine, thresholds))
    index = catalog.create(IndexDefinition("items", 4, "model", engine=EngineKind.EXACT))
    with index.bulk(), index.bulk():
        for first in range(0, 100, 20):
            fill(index, 20, seed=first, first=first)
        assert not engine.building.is_set()
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    assert [each.row_count for each in index.stats().segments] == [100]


def test_bulk_rows_are_folded_early_if_they_fill_memory(
    data_folder: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "_MAX_LIVE_BYTES", 30 * 4 * 4)
    engine = PausedEngine()
    thresholds = Thresholds(full_scan_threshold=10)
    catalog = stack.enter_context(open_catalog(data_folder, lambda _: engine, thresholds))
    index = catalog.create(IndexDefinition("items", 4, "model", engine=EngineKind.EXACT))
    with index.bulk():
        fill(index, 20)
        assert not engine.building.is_set()
        fill(index, 20, seed=1, first=20)
        assert engine.building.wait(DEADLINE)
