from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from index_service.definition import EngineKind, IndexDefinition
from index_service.errors import BuildFailed, StorageFull
from index_service.local.catalog import open_catalog
from index_service.local.store import STORE_FILE
from index_service.metrics import measured
from tests.unit.index_service.conftest import NEVER, OpenCatalog, fill
from tests.unit.index_service.test_merging import PausedEngine


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"semsearch_index_{name}", labels)


def test_each_scrape_reports_the_indexes_as_they_are(open_data: OpenCatalog) -> None:
    catalog = open_data()
    with measured(catalog):
        assert value("items", index="birds") is None
        index = catalog.create(IndexDefinition("birds", 8, "model"))
        fill(index, 50)
        assert (value("items", index="birds"), value("live_rows", index="birds")) == (50, 50)
        merges = value("merges_total", outcome="done") or 0
        index.optimize(lambda _done, _total: None).result(30)
        assert (value("live_rows", index="birds"), value("segments", index="birds")) == (0, 1)
        assert value("merges_total", outcome="done") == merges + 1
        assert (value("recall", index="birds") or 0) >= (value("recall_target", index="birds") or 2)
        assert value("damaged_indexes") == 0
    assert value("items", index="birds") is None


def test_a_damaged_index_is_counted(open_data: OpenCatalog) -> None:
    folder = open_data().create(IndexDefinition("birds", 8, "model")).folder
    (folder / STORE_FILE).write_bytes(b"not a database")
    with measured(open_data()):
        assert value("damaged_indexes") == 1


def test_a_process_begins_with_no_merges_of_every_outcome() -> None:
    """The increase of a series that first appears with its first failure would be 0."""
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            "import index_service.metrics, prometheus_client as p; print(p.generate_latest().decode())",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    for outcome in ("done", "failed", "stopped"):
        assert f'semsearch_index_merges_total{{outcome="{outcome}"}} 0.0' in process.stdout.splitlines()
    assert "semsearch_index_damages_total 0.0" in process.stdout.splitlines()


def merge_counts() -> dict[str, float]:
    return {outcome: value("merges_total", outcome=outcome) or 0 for outcome in ("done", "failed", "stopped")}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BuildFailed("no")])
def test_a_merge_that_fails_is_counted(data_folder: Path, error: Exception) -> None:
    def fail() -> None:
        raise error

    before = merge_counts()
    with open_catalog(data_folder, lambda _: PausedEngine(fail), NEVER) as catalog:
        index = catalog.create(IndexDefinition("birds", 4, "model", engine=EngineKind.EXACT))
        fill(index, 20)
        with pytest.raises((StorageFull, BuildFailed)):
            index.optimize(lambda _done, _total: None).result(30)
    assert merge_counts() == before | {"failed": before["failed"] + 1}


@pytest.mark.parametrize("moment", ["during", "after"])
def test_a_merge_whose_index_is_deleted_did_not_fail(data_folder: Path, moment: str) -> None:
    reached, release = threading.Event(), threading.Event()

    def pause() -> None:
        reached.set()
        assert release.wait(30)

    before = merge_counts()
    with open_catalog(data_folder, lambda _: PausedEngine(**{moment: pause}), NEVER) as catalog:
        index = catalog.create(IndexDefinition("birds", 4, "model", engine=EngineKind.EXACT))
        fill(index, 20)
        merge = index.optimize(lambda _done, _total: None)
        assert reached.wait(30)
        catalog.delete("birds")
        release.set()
        assert merge.exception(30)
    assert merge_counts() == before | {"stopped": before["stopped"] + 1}
