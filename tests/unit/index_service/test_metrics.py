from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from index_service import metrics
from index_service.definition import IndexDefinition
from index_service.local.store import STORE_FILE
from index_service.metrics import measured
from tests.unit.index_service.conftest import OpenCatalog, fill


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


def test_a_merge_that_fails_is_counted() -> None:
    failed = value("merges_total", outcome="failed") or 0
    with pytest.raises(OSError, match="full"), metrics.merging():
        raise OSError("full")
    assert value("merges_total", outcome="failed") == failed + 1
