"""This project's index, filled through the service, and searched through it and, from the same files, in process.

An item's id is its row's number. The data folder is kept and reused until the service's code changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np
from google.protobuf.field_mask_pb2 import FieldMask
from numpy.typing import NDArray
from semsearch.index.v1 import index_service_pb2 as pb

import index_service
from benchmarks.index.built import Built, cached
from benchmarks.index.memory import disk_bytes
from benchmarks.index.service_process import RunningService, running
from benchmarks.index.truth import Positions
from benchmarks.index.vectors import Corpus, K
from index_service.definition import EngineKind
from index_service.local.segments import SEGMENTS_FOLDER

INDEX = "benchmark"
_MODEL = "benchmark"
_DATA = "data"
_BATCH = 1_000
# Use all cores, as the others do, and run no background merge that the requested one would have to wait for.
_FOR_BUILDING = ("--build-threads=-1", f"--full-scan-threshold={10**9}")
_NO_ATTRIBUTES = FieldMask(paths=["-"])


def fill(corpus: Corpus, engine: EngineKind, target: float, report: Callable[[str], None]) -> Built:
    """Write all rows through the service into one segment, or reuse an earlier run's; `data_of` gives its data folder.

    Its figures: inserts_per_s, acknowledged (so on disk), while merges ran in the background with default settings;
    build_s, the duration of OptimizeIndex after that; then disk_bytes, and segment_bytes, which are part of these.
    """

    def make(folder: Path) -> dict[str, float]:
        data = folder / _DATA
        with running(data) as service:
            figures = {"inserts_per_s": _fill(service, corpus.rows, engine, target, report)}
        with running(data, *_FOR_BUILDING) as service:
            figures["build_s"] = _optimize(service, engine, report)
            segments = disk_bytes(data / "index" / INDEX / "segments")
            return {**figures, "disk_bytes": disk_bytes(data / "index"), "segment_bytes": segments}

    return cached(corpus.folder, f"{engine} engine", f"{target} {source_digest()}", make)


def data_of(built: Built) -> Path:
    """Return the data folder in the result of `fill`."""
    return built.folder / _DATA


@contextmanager
def clone(data: Path) -> Iterator[Path]:
    """Copy the data folder of a stopped service; segments are shared, because they never change."""
    clone = data.with_name(f"{data.name}.clone")
    shutil.rmtree(clone, ignore_errors=True)  # left by a killed run
    try:
        shutil.copytree(data, clone, copy_function=_link_or_copy)
        yield clone
    finally:
        shutil.rmtree(clone, ignore_errors=True)


def search_request(query: NDArray[np.float32]) -> pb.SearchRequest:
    """Return the request for the nearest rows of a query (dimension,)."""
    target = pb.SearchQuery(vector=query.astype("<f4").tobytes())
    return pb.SearchRequest(index=INDEX, queries=[target], k=K, model_id=_MODEL, attributes_mask=_NO_ATTRIBUTES)


def search(service: RunningService, query: NDArray[np.float32]) -> Positions:
    """Search through the service."""
    (result,) = service.stub.Search(search_request(query)).results
    return np.array([int(neighbor.id) for neighbor in result.neighbors], dtype=np.intp)


def first_answer(service: RunningService, query: NDArray[np.float32]) -> float:
    """Send the first search; return the seconds from the start of the service's process to its answer."""
    search(service, query)
    return perf_counter() - service.started


def _fill(
    service: RunningService, rows: NDArray[np.float32], engine: EngineKind, target: float, report: Callable[[str], None]
) -> float:
    """Add all rows in one stream; return rows per second."""
    index = pb.Index(
        name=INDEX,
        dimension=rows.shape[1],
        model_id=_MODEL,
        engine=pb.Engine.Value(f"ENGINE_{engine.name}"),
        recall_target=target,
    )
    service.stub.CreateIndex(pb.CreateIndexRequest(index=index))
    began = perf_counter()
    service.stub.UpsertItems(_batches(rows, lambda sent: report(f"{engine} engine: adding, {sent:,} rows")))
    return len(rows) / (perf_counter() - began)


def _optimize(service: RunningService, engine: EngineKind, report: Callable[[str], None]) -> float:
    """Fold everything into one segment; return the seconds that it took."""
    began = perf_counter()
    for step in service.stub.OptimizeIndex(pb.OptimizeIndexRequest(name=INDEX)):
        report(f"{engine} engine: merging, {step.done_row_count:,} rows")
    return perf_counter() - began


def _batches(rows: NDArray[np.float32], report: Callable[[int], None]) -> Iterator[pb.UpsertItemsRequest]:
    for start in range(0, len(rows), _BATCH):
        report(start)
        items = [
            pb.Item(id=str(position), vector=row.tobytes())
            for position, row in enumerate(rows[start : start + _BATCH].astype("<f4"), start)
        ]
        yield pb.UpsertItemsRequest(index=INDEX, model_id=_MODEL, items=items)


def _link_or_copy(source: str, target: str) -> None:
    if SEGMENTS_FOLDER in Path(source).parts:
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


def source_digest() -> str:
    """Return a digest of the service's current code."""
    folder = Path(index_service.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
