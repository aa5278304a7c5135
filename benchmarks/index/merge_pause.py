"""Measures searches during a merge that folds all rows again, compared with searches without a merge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from threading import Thread
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from semsearch.index.v1 import index_service_pb2 as pb

from benchmarks.index.service import INDEX, clone, search
from benchmarks.index.service_process import RunningService, running
from benchmarks.load import Latencies


@dataclass(frozen=True)
class MergePause:
    """The 99th percentile of searches in milliseconds, and the duration of the merge."""

    p99_without_ms: float
    p99_during_ms: float
    merge_s: float


def measure(data: Path, queries: NDArray[np.float32], seconds: float) -> MergePause:
    """Search a copy of a data folder before, during and after a merge of all its rows.

    Args:
        data: the data folder of a stopped service, with an index of one segment.
        queries: float32 (m, dimension), sent sequentially by one client.
        seconds: how long to search before the merge, and again after it.
    """
    endless = cycle(queries)
    with clone(data) as copy, running(copy) as service:
        _searches(service, endless.__next__, _for(1.0))
        outside = _searches(service, endless.__next__, _for(seconds))
        # Delete a row, so that there is something to fold.
        service.stub.DeleteItems(pb.DeleteItemsRequest(index=INDEX, ids=["0"]))
        merge = Thread(target=lambda: list(service.stub.OptimizeIndex(pb.OptimizeIndexRequest(name=INDEX))))
        merge.start()
        during = _searches(service, endless.__next__, merge.is_alive)
        merge.join()
        outside += _searches(service, endless.__next__, _for(seconds))
    return MergePause(outside.quantile(0.99), during.quantile(0.99), during.seconds)


def _for(seconds: float) -> Callable[[], bool]:
    began = perf_counter()
    return lambda: perf_counter() - began < seconds


def _searches(
    service: RunningService, next_query: Callable[[], NDArray[np.float32]], continues: Callable[[], bool]
) -> Latencies:
    """Search during the merge, at least once."""
    began = perf_counter()
    taken: list[float] = []
    while not taken or continues():
        sent = perf_counter()
        search(service, next_query())
        taken.append(1000 * (perf_counter() - sent))
    return Latencies(tuple(taken), perf_counter() - began)
