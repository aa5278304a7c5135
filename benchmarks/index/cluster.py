"""Compare indexes in a Weaviate cluster of one node with those on this machine, in one run through the service.

    python -m benchmarks.index.cluster --program .tools/bin/weaviate-server

One service has an index of each engine. They grow step by step, in turns, and are measured after each step: recall@10,
latencies of one client, and the rate of ingest. Compare the rows of one run only.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from semsearch.index.v1 import index_service_pb2 as pb

from benchmarks.index.measure import Competitor, race
from benchmarks.index.memory import Memory
from benchmarks.index.service_process import RunningService, running
from benchmarks.index.truth import Positions, Questions, nearest_of_all, recall
from benchmarks.index.vectors import K, Recipe, make
from benchmarks.weaviate_process import weaviate_server
from index_service.definition import EngineKind

_ENGINES = (EngineKind.ANNOY, EngineKind.HNSW, EngineKind.WEAVIATE)
_MODEL = "benchmark"
_BATCH = 1_000


@dataclass(frozen=True)
class Row:
    """What was measured of an engine at a number of vectors; `build_s` is the time of OptimizeIndex."""

    vectors: int
    engine: str
    recall: float
    p50_ms: float
    p99_ms: float
    inserts_per_s: float
    build_s: float
    cluster_mb: float | None


def main(
    program: Annotated[Path, typer.Option(help="The program of Weaviate.", exists=True)] = Path(
        ".tools/bin/weaviate-server"
    ),
    size: Annotated[int, typer.Option(help="Number of vectors.")] = 200_000,
    step: Annotated[int, typer.Option(help="Vectors that are added between measurements.")] = 50_000,
    queries: Annotated[int, typer.Option(min=10, help="Number of queries.")] = 250,
    seconds: Annotated[float, typer.Option(help="Measured time of each engine at each size.")] = 5.0,
    words: Annotated[Path, typer.Option(help="Real word vectors.", exists=True)] = Path("starter/bundle/words.npy"),
    cache: Annotated[Path, typer.Option(help="Folder for vectors and indexes.")] = Path("var/bench-index"),
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/cluster.json"),
) -> None:
    """Compare the engines."""
    corpus = make(Recipe(words, size, queries), cache)
    data = cache / "cluster"
    shutil.rmtree(data, ignore_errors=True)
    console = Console(width=120)
    rows: list[Row] = []
    with (
        weaviate_server(data / "weaviate", program) as server,
        running(
            data / "service", f"--weaviate-addresses={server.address}", "--full-scan-threshold=1000000000"
        ) as service,
    ):
        for engine in _ENGINES:
            index = pb.Index(
                name=engine.value,
                dimension=corpus.rows.shape[1],
                model_id=_MODEL,
                engine=pb.Engine.Value(f"ENGINE_{engine.name}"),
            )
            service.stub.CreateIndex(pb.CreateIndexRequest(index=index))
        asked = corpus.measuring.vectors
        for end in range(step, size + 1, step):
            rates = {engine: _fill(service, engine, corpus.rows, end - step, end) for engine in _ENGINES}
            builds = {engine: _optimize(service, engine) for engine in _ENGINES}
            truth = Questions(asked, *nearest_of_all(asked, corpus.rows[:end], K))
            competitors = [Competitor(engine.value, partial(_search, service, engine)) for engine in _ENGINES]
            raced = race(competitors, asked, seconds, lambda _: None)
            for engine in _ENGINES:
                timed = raced[engine.value]
                found = recall(timed.found, truth, corpus.rows[:end])
                of_cluster = engine not in (EngineKind.ANNOY, EngineKind.HNSW)
                memory = Memory.of(server.process.pid) if of_cluster else None
                latencies = timed.latencies
                rows.append(
                    Row(
                        end, engine.value, found, latencies.quantile(0.5), latencies.quantile(0.99),
                        rates[engine], builds[engine], memory.own if memory else None,
                    )
                )  # fmt: skip
            console.print(_table(rows[-len(_ENGINES) :]))
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def _fill(service: RunningService, engine: EngineKind, rows: NDArray[np.float32], start: int, end: int) -> float:
    """Add rows in one stream; return rows per second."""

    def messages() -> Iterator[pb.UpsertItemsRequest]:
        for first in range(start, end, _BATCH):
            batch = rows[first : min(first + _BATCH, end)].astype("<f4")
            items = [pb.Item(id=str(number), vector=row.tobytes()) for number, row in enumerate(batch, first)]
            yield pb.UpsertItemsRequest(index=engine.value, model_id=_MODEL, items=items)

    began = perf_counter()
    service.stub.UpsertItems(messages())
    return (end - start) / (perf_counter() - began)


def _optimize(service: RunningService, engine: EngineKind) -> float:
    began = perf_counter()
    for _ in service.stub.OptimizeIndex(pb.OptimizeIndexRequest(name=engine.value)):
        pass
    return perf_counter() - began


def _search(service: RunningService, engine: EngineKind, query: NDArray[np.float32]) -> Positions:
    request = pb.SearchRequest(
        index=engine.value, queries=[pb.SearchQuery(vector=query.astype("<f4").tobytes())], k=K, model_id=_MODEL
    )
    request.attributes_mask.paths.append("-")
    (result,) = service.stub.Search(request).results
    return np.array([int(neighbor.id) for neighbor in result.neighbors], dtype=np.intp)


def _table(rows: list[Row]) -> Table:
    table = Table(title=f"{rows[0].vectors:,} vectors")
    for heading in ("engine", "recall@10", "p50 ms", "p99 ms", "inserts/s", "optimize s", "cluster's memory MB"):
        table.add_column(heading, justify="right")
    for row in rows:
        memory = "" if row.cluster_mb is None else f"{row.cluster_mb:.0f}"
        table.add_row(
            row.engine, f"{row.recall:.3f}", f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}", f"{row.inserts_per_s:.0f}",
            f"{row.build_s:.1f}", memory,
        )  # fmt: skip
    return table


if __name__ == "__main__":
    typer.run(main)
