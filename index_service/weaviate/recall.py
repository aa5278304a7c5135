"""The recall of an index, measured with some of its own items as queries against a comparison with all items.

The work is bounded: `_QUERIES` searches, each once as usual and once over all items. It is done in the background, when
a fifth of the items has changed since the last time, and at most once in `_PAUSE_SECONDS`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor

from index_service.descriptions import RecallMeasurement
from index_service.errors import IndexServiceError
from index_service.results import Answer
from serving.background import WorkHealth

_QUERIES = 30
_K = 10
_PAUSE_SECONDS = 60.0
_CHANGED_SHARE = 0.2


class MeasuredRecall:
    """The last measurement, and when to make the next one; thread-safe."""

    def __init__(self, name: str, threads: Executor, health: WorkHealth) -> None:
        self.recall = 0.0
        self.measurement: RecallMeasurement | None = None
        self._name = name
        self._threads = threads
        self._health = health
        self._lock = threading.Lock()
        self._running = False
        self._changed_count = 0
        self._not_before = 0.0

    def measure_if_due(self, item_count: int, changed_count: int, measure: Callable[[], tuple[float, int]]) -> None:
        """Begin a measurement in the background if much has changed since the last one."""
        with self._lock:
            changed = changed_count - self._changed_count
            is_due = self.measurement is None or changed > _CHANGED_SHARE * item_count
            if not item_count or not is_due or self._running or time.monotonic() < self._not_before:
                return
            self._running = True
        self._threads.submit(self._run, changed_count, measure)

    def record(self, recall: float, queries: int) -> None:
        """Keep a measurement."""
        self.recall = recall
        self.measurement = RecallMeasurement(queries, time.time_ns())

    def _run(self, changed_count: int, measure: Callable[[], tuple[float, int]]) -> None:
        try:
            self.record(*measure())
            self._health.succeeded(self._name)
        except IndexServiceError as error:
            self._health.failed(error, self._name, expected=True)
        except Exception as error:  # noqa: BLE001 — reported
            self._health.failed(error, self._name)
        finally:
            with self._lock:
                self._running = False
                self._changed_count = changed_count
                self._not_before = time.monotonic() + _PAUSE_SECONDS


def recall_of(search: Callable[[list[str], int, float | None], Answer], ids: list[str]) -> tuple[float, int]:
    """Return the recall@10 of searches for the neighbours of items, and how many were compared."""
    if not ids:
        return 1.0, 0
    usual, exact = search(ids, _K, None), search(ids, _K, 1.0)
    found = wanted = 0
    for some, all_nearest in zip(usual.neighbors, exact.neighbors, strict=True):
        if not all_nearest:
            continue
        farthest = all_nearest[-1].distance  # of several at this distance, any is right
        found += sum(each.distance <= farthest for each in some[: len(all_nearest)])
        wanted += len(all_nearest)
    return (found / wanted if wanted else 1.0), len(ids)


def sample_size() -> int:
    """Return how many items are used as queries."""
    return _QUERIES
