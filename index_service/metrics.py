"""Metrics of the indexes on this machine: what each consists of, asked for at each scrape, and merges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Protocol

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from index_service.contract import Index
from index_service.descriptions import DamagedIndex

# Indexes with metrics of their own, the first by name: there may be thousands.
MOST_INDEXES = 100


def _each_index(name: str, documentation: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"semsearch_index_{name}", documentation, labels=["index"])


ITEMS = _each_index("items", "Items of an index.")
SEGMENTS = _each_index("segments", "Segments of an index.")
LIVE_ROWS = _each_index("live_rows", "Rows that are in no segment yet.")
DELETED_ROWS = _each_index("deleted_rows", "Rows that a merge will drop.")
DISK_BYTES = _each_index("disk_bytes", "Bytes of an index on disk.")
REPAIRS = _each_index("repairs", "Damages of an index that are not repaired yet.")
RECALL = _each_index("recall", "Measured recall@10 of an index.")
RECALL_TARGET = _each_index("recall_target", "Recall that an index was created with.")
DAMAGED = GaugeMetricFamily("semsearch_index_damaged_indexes", "Indexes that cannot be opened.")

DAMAGES = Counter("semsearch_index_damages", "Damages found in indexes, of which most are repaired at once.")

MERGES_RUNNING = Gauge("semsearch_index_merges_running", "Merges that are running.")
MERGES = Counter(
    "semsearch_index_merges", "Merges by how they ended: done, failed, or stopped with their index.", ["outcome"]
)
for _outcome in ("done", "failed", "stopped"):
    MERGES.labels(_outcome)  # at 0 from the start: Prometheus sees no increase in a series that begins with a failure
MERGE_SECONDS = Histogram(
    "semsearch_index_merge_seconds",
    "Seconds that a merge took.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600),
)


class Indexes(Protocol):
    """A catalog of indexes on this machine."""

    def page(self, after: str, limit: int) -> Sequence[Index | DamagedIndex]:
        """Return the next indexes by name."""
        ...


@contextmanager
def measured(catalog: Indexes) -> Iterator[None]:
    """Report the indexes of a catalog in a `with` block."""
    collector = _IndexCollector(catalog)
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)


@contextmanager
def merging(is_closed: Callable[[], bool]) -> Iterator[None]:
    """Count and time a merge. Whatever error ends it once its index is closed, it was stopped and did not fail."""
    outcome = "done"
    try:
        with MERGES_RUNNING.track_inprogress(), MERGE_SECONDS.time():
            yield
    except BaseException:
        outcome = "stopped" if is_closed() else "failed"
        raise
    finally:
        MERGES.labels(outcome).inc()


class _IndexCollector(Collector):
    def __init__(self, catalog: Indexes) -> None:
        self._catalog = catalog

    def describe(self) -> Sequence[Metric]:
        """Return the names, so that registering does not read the indexes."""
        return [ITEMS, SEGMENTS, LIVE_ROWS, DELETED_ROWS, DISK_BYTES, REPAIRS, RECALL, RECALL_TARGET, DAMAGED]

    @override
    def collect(self) -> Iterator[Metric]:
        """Ask each index."""
        page = self._catalog.page("", MOST_INDEXES)
        whole = [each for each in page if not isinstance(each, DamagedIndex)]
        yield _with(DAMAGED, [([], len(page) - len(whole))])
        found = [(index.definition, index.stats()) for index in whole]
        figures: list[tuple[GaugeMetricFamily, Sequence[float]]] = [
            (ITEMS, [stats.item_count for _, stats in found]),
            (SEGMENTS, [stats.segment_count for _, stats in found]),
            (LIVE_ROWS, [stats.live_row_count for _, stats in found]),
            (DELETED_ROWS, [stats.deleted_row_count for _, stats in found]),
            (DISK_BYTES, [stats.disk_bytes for _, stats in found]),
            (REPAIRS, [len(stats.repairs) for _, stats in found]),
            (RECALL, [stats.recall for _, stats in found]),
            (RECALL_TARGET, [definition.recall_target for definition, _ in found]),
        ]
        names = [[definition.name] for definition, _ in found]
        for family, values in figures:
            yield _with(family, list(zip(names, values, strict=True)))


def _with(family: GaugeMetricFamily, samples: Sequence[tuple[Sequence[str], float]]) -> GaugeMetricFamily:
    """Return a copy of a family with samples: their labels and values."""
    filled = copy(family)
    filled.samples = []
    for labels, value in samples:
        filled.add_metric(labels, value)
    return filled
