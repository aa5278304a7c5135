"""The recall that an index targets, reports and reaches, over real gRPC to a real process, for every engine."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from numpy.typing import NDArray
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.v1 import query_pb2

from tests.services.index_process import IndexProcess, index_process, item, query

ROWS = 6_000
RARE = 6  # of 6,000 rows: 0.1 %
DIMENSION = 48
QUERIES = 40
ENGINES = {"annoy": pb.ENGINE_ANNOY, "exact": pb.ENGINE_EXACT, "hnsw": pb.ENGINE_HNSW}


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(100, DIMENSION))
    rows = centres[generator.integers(0, 100, ROWS)] + 0.6 * generator.normal(size=(ROWS, DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


# One process for the module with one index per engine, because building them takes seconds.
@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, vectors: NDArray[np.float32]) -> Iterator[IndexProcess]:
    with index_process(tmp_path_factory.mktemp("data")) as running:
        for name, engine in ENGINES.items():
            definition = pb.Index(name=name, dimension=DIMENSION, model_id="m", engine=engine, recall_target=0.9)
            running.stub.CreateIndex(pb.CreateIndexRequest(index=definition))
            items = [
                item(str(number), vector, rare=number % (ROWS // RARE) == 0)
                for number, vector in enumerate(vectors.tolist())
            ]
            batches = (items[start : start + 1_000] for start in range(0, ROWS, 1_000))
            running.stub.UpsertItems(pb.UpsertItemsRequest(index=name, model_id="m", items=each) for each in batches)
            *_, last = running.stub.OptimizeIndex(pb.OptimizeIndexRequest(name=name))
            assert last.index.stats.segment_row_count == ROWS
        yield running


def found(service: IndexProcess, request: pb.SearchRequest) -> tuple[list[list[int]], bool]:
    response = service.stub.Search(request)
    return [[int(neighbor.id) for neighbor in result.neighbors] for result in response.results], response.exact


def request(name: str, vectors: NDArray[np.float32], **fields: object) -> pb.SearchRequest:
    noise = np.random.default_rng(1).normal(size=(QUERIES, DIMENSION)) * 0.05
    queries = [query(vector) for vector in (vectors[:QUERIES] + noise).tolist()]
    return pb.SearchRequest(index=name, queries=queries, k=10, model_id="m", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ENGINES)
def test_a_search_reaches_its_target_and_an_exact_one_finds_all(
    service: IndexProcess, vectors: NDArray[np.float32], name: str
) -> None:
    true, _ = found(service, request("exact", vectors))
    shares = {}
    for target, fields in {
        "default": {},
        "0.99": {"recall": 0.99},
        "1": {"recall": 1.0},
        "exact": {"exact": True},
    }.items():
        got, exact = found(service, request(name, vectors, **fields))
        shares[target] = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(true, got, strict=True)])
        assert exact or name != "exact"
    assert shares["default"] >= 0.85
    assert shares["0.99"] >= 0.95
    assert shares["1"] == shares["exact"] == 1.0


@pytest.mark.parametrize("name", ENGINES)
def test_an_index_reports_its_recall_and_how_it_was_measured(service: IndexProcess, name: str) -> None:
    index = service.stub.GetIndex(pb.GetIndexRequest(name=name)).index
    stats = index.stats
    (segment,) = stats.segments
    assert segment.row_count == ROWS
    assert index.create_time.seconds <= segment.create_time.seconds <= time.time()
    assert stats.measured_recall == pytest.approx(segment.measured_recall)
    if segment.effort:
        assert segment.measured_recall >= 0.85
        assert segment.sample_size >= 100
        assert segment.milliseconds < segment.scan_milliseconds
    else:  # all rows are compared, by the exact engine or because a scan was measured to be as fast
        assert segment.measured_recall == 1.0


@pytest.mark.parametrize("name", ENGINES)
def test_a_filter_that_few_rows_pass_finds_all_of_them(
    service: IndexProcess, vectors: NDArray[np.float32], name: str
) -> None:
    rare = ParseDict({"must": [{"field": "rare", "equals": True}]}, query_pb2.Filter())
    got, exact = found(service, request(name, vectors, filter=rare))
    assert exact
    for ids in got:
        assert sorted(ids) == list(range(0, ROWS, ROWS // RARE))


def test_live_rows_are_compared_and_count_as_found(tmp_path: Path) -> None:
    with index_process(tmp_path) as running:
        running.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="live", dimension=2, model_id="m")))
        items = [item("a", [1, 0])]
        running.stub.UpsertItems(iter([pb.UpsertItemsRequest(index="live", model_id="m", items=items)]))
        stats = running.stub.GetIndex(pb.GetIndexRequest(name="live")).index.stats
        assert (stats.measured_recall, list(stats.segments)) == (1.0, [])
