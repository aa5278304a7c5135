"""This project's index: filled through the service, searched through it and, from the same files, in this process.

Items are named by their row's number. What the service wrote is kept; where the
service's code has changed since, it is made anew.
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
from benchmarks.index.built import Built, kept
from benchmarks.index.memory import disk_bytes
from benchmarks.index.service_process import RunningService, running
from benchmarks.index.truth import Positions
from benchmarks.index.vectors import Corpus, K
from index_service.definition import EngineKind
from index_service.segments import SEGMENTS_FOLDER

__all__ = ["INDEX", "cloned", "data_of", "filled", "first_answer", "search", "search_request", "source_digest"]

INDEX = "benchmark"
_MODEL = "benchmark"
_DATA = "data"
_BATCH = 1_000
# All cores, as the others have, and no merge in the background that the one asked for would have to wait for.
_FOR_BUILDING = ("--build-threads=-1", f"--full-scan-threshold={10**9}")
_NO_ATTRIBUTES = FieldMask(paths=["-"])


def filled(corpus: Corpus, engine: EngineKind, target: float, tell: Callable[[str], None]) -> Built:
    """Return a folder whose data folder (`data_of`) holds all rows, in one segment.

    Its figures: inserts_per_s, acknowledged and so on disk, while merges went on beside as the settings' defaults have
    it; build_s, how long OptimizeIndex took after that; disk_bytes then, and of these segment_bytes.
    """

    def make(folder: Path) -> dict[str, float]:
        data = folder / _DATA
        with running(data) as service:
            figures = {"inserts_per_s": _fill(service, corpus.rows, engine, target, tell)}
        with running(data, *_FOR_BUILDING) as service:
            figures["build_s"] = _optimize(service, engine, tell)
            segments = disk_bytes(data / "index" / INDEX / "segments")
            return {**figures, "disk_bytes": disk_bytes(data / "index"), "segment_bytes": segments}

    return kept(corpus.folder, f"{engine} engine", f"{target} {source_digest()}", make)


def data_of(built: Built) -> Path:
    """Return the data folder of what `filled` returned."""
    return built.folder / _DATA


@contextmanager
def cloned(data: Path) -> Iterator[Path]:
    """Copy the data folder of a service that is not running; segments, which never change, are shared."""
    clone = data.with_name(f"{data.name}.clone")
    shutil.rmtree(clone, ignore_errors=True)  # of a run that was killed
    try:
        shutil.copytree(data, clone, copy_function=_link_or_copy)
        yield clone
    finally:
        shutil.rmtree(clone, ignore_errors=True)


def search_request(query: NDArray[np.float32]) -> pb.SearchRequest:
    """Return the request for the nearest of a query (dimension,)."""
    target = pb.SearchQuery(vector=query.astype("<f4").tobytes())
    return pb.SearchRequest(index=INDEX, queries=[target], k=K, model_id=_MODEL, attributes_mask=_NO_ATTRIBUTES)


def search(service: RunningService, query: NDArray[np.float32]) -> Positions:
    """Search through the service."""
    (result,) = service.stub.Search(search_request(query)).results
    return np.array([int(neighbor.id) for neighbor in result.neighbors], dtype=np.intp)


def first_answer(service: RunningService, query: NDArray[np.float32]) -> float:
    """Return the seconds from the start of a service's process to the answer of its first search, which this makes."""
    search(service, query)
    return perf_counter() - service.started


def _fill(
    service: RunningService, rows: NDArray[np.float32], engine: EngineKind, target: float, tell: Callable[[str], None]
) -> float:
    """Add all rows in one stream, and return the rows per second."""
    index = pb.Index(
        name=INDEX,
        dimension=rows.shape[1],
        model_id=_MODEL,
        engine=pb.Engine.Value(f"ENGINE_{engine.name}"),
        recall_target=target,
    )
    service.stub.CreateIndex(pb.CreateIndexRequest(index=index))
    began = perf_counter()
    service.stub.UpsertItems(_batches(rows, lambda sent: tell(f"{engine} engine: adding, {sent:,} rows")))
    return len(rows) / (perf_counter() - began)


def _optimize(service: RunningService, engine: EngineKind, tell: Callable[[str], None]) -> float:
    """Fold everything into one segment, and return the seconds."""
    began = perf_counter()
    for step in service.stub.OptimizeIndex(pb.OptimizeIndexRequest(name=INDEX)):
        tell(f"{engine} engine: merging, {step.done_row_count:,} rows")
    return perf_counter() - began


def _batches(rows: NDArray[np.float32], tell: Callable[[int], None]) -> Iterator[pb.UpsertItemsRequest]:
    for start in range(0, len(rows), _BATCH):
        tell(start)
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
    """Name the service's code as it is now."""
    folder = Path(index_service.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
