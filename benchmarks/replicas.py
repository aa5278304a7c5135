"""Read replicas of the index: how far behind they are, what is published, how fast one starts, and searches a second.

    make bench-replicas

Searches go to the writer alone, then to the writer and one replica, then to the writer and two, in rounds that
alternate. All processes share this machine, so more of them add searches only while there are cores to spare.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from itertools import cycle
from pathlib import Path
from typing import Annotated

import grpc
import grpc.aio
import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc

from benchmarks.load import Latencies, measure
from benchmarks.service_process import Running, running

NAME = "photos"
MODEL = "model"
WORKERS = 2
BATCH = 1_000
_BEAT = "semsearch-index-beat"
_NOT_THERE = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE)


def main(
    vectors: Annotated[int, typer.Option(min=1_000, help="Vectors in the index.")] = 200_000,
    dimension: Annotated[int, typer.Option(min=2, help="Numbers in a vector.")] = 300,
    engine: Annotated[str, typer.Option(help="hnsw, annoy or exact.")] = "hnsw",
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of one measurement of searches.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of searches.")] = 5,
    writes: Annotated[int, typer.Option(min=1, help="Writes whose way to a replica is timed.")] = 200,
    place: Annotated[str, typer.Option(help="URL to publish to; a temporary folder by default.")] = "",
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/replicas.json"),
) -> None:
    """Measure read replicas beside their writer."""
    figures: dict[str, object] = {"vectors": vectors, "dimension": dimension, "engine": engine}
    console = Console()
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = place or str(data / "place")
        writer = stack.enter_context(running("index_service", data / "writer", f"--publish={place}"))
        stub = pb_grpc.IndexServiceStub(stack.enter_context(grpc.insecure_channel(writer.address)))
        beat = _fill(stub, vectors, dimension, engine)
        replicas = []
        for number in range(2):
            started = time.monotonic()
            replica = stack.enter_context(running("index_service", data / f"replica-{number}", f"--replica-of={place}"))
            replica_stub = pb_grpc.IndexServiceStub(stack.enter_context(grpc.insecure_channel(replica.address)))
            _wait(replica_stub, beat, same_segments_as=stub)
            figures[f"start_seconds_{number}"] = time.monotonic() - started
            replicas.append(replica)
        console.print(figures)
        lags = sorted(_lags(stub, replica_stub, writes, dimension))
        figures["lag_p50_seconds"], figures["lag_p99_seconds"] = np.quantile(lags, [0.5, 0.99]).tolist()
        for label, size in (("1000 at once", 1_000), ("1000 by 10", 10)):
            before = _bytes(data, place)
            for start in range(0, 1_000, size):
                beat = _upsert(stub, [f"{label}-{start + number}" for number in range(size)], dimension)
            _wait(replica_stub, beat)
            figures[f"published_bytes {label}"] = _bytes(data, place) - before
        console.print(figures)
        rows = _searches(writer, replicas, dimension, seconds, rounds)
    table = Table("replicas", "searches/s", "p50 ms", "p99 ms")
    for row in rows:
        table.add_row(*(f"{value:,.1f}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**figures, "searches": rows}, indent=2) + "\n")


def _searches(
    writer: Running, replicas: Sequence[Running], dimension: int, seconds: float, rounds: int
) -> list[dict[str, float]]:
    addresses = [writer.address, *(replica.address for replica in replicas)]
    results = dict.fromkeys(range(len(replicas) + 1), Latencies((), 0.0))
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        for round_number in range(rounds + 1):  # the first one warms up
            for count in results:
                calls = [pool.submit(_search, addresses[: count + 1], dimension, seconds) for _ in range(WORKERS)]
                taken = [call.result() for call in calls]
                if round_number:
                    every = tuple(each for one in taken for each in one.milliseconds)
                    results[count] += Latencies(every, max(one.seconds for one in taken))
    return [
        {
            "replicas": count,
            "per_second": each.per_second,
            "p50_ms": each.quantile(0.5),
            "p99_ms": each.quantile(0.99),
        }
        for count, each in results.items()
    ]


def _search(addresses: Sequence[str], dimension: int, seconds: float) -> Latencies:
    return asyncio.run(_search_async(addresses, dimension, seconds))


async def _search_async(addresses: Sequence[str], dimension: int, seconds: float) -> Latencies:
    async with AsyncExitStack() as channels:
        turns = cycle(
            [
                pb_grpc.IndexServiceStub(await channels.enter_async_context(grpc.aio.insecure_channel(address)))
                for address in addresses
            ]
        )
        queries = cycle(np.random.default_rng(1).normal(size=(100, dimension)).astype("<f4"))

        def call() -> grpc.aio.UnaryUnaryCall[pb.SearchRequest, pb.SearchResponse]:
            request = pb.SearchRequest(
                index=NAME, queries=[pb.SearchQuery(vector=next(queries).tobytes())], k=10, model_id=MODEL
            )
            return next(turns).Search(request)

        return await measure(call, 4, seconds)


def _fill(stub: pb_grpc.IndexServiceStub, count: int, dimension: int, engine: str) -> str:
    index = pb.Index(name=NAME, dimension=dimension, model_id=MODEL, engine=pb.Engine.Value(f"ENGINE_{engine.upper()}"))
    stub.CreateIndex(pb.CreateIndexRequest(index=index))

    def batches() -> Iterator[pb.UpsertItemsRequest]:
        for start in range(0, count, BATCH):
            yield _request([f"item-{start + number}" for number in range(BATCH)], dimension, start, bulk=True)

    _, call = stub.UpsertItems.with_call(batches())
    for _ in stub.OptimizeIndex(pb.OptimizeIndexRequest(name=NAME)):
        pass
    return str(dict(call.trailing_metadata())[_BEAT])


def _request(ids: Sequence[str], dimension: int, seed: int, *, bulk: bool = False) -> pb.UpsertItemsRequest:
    drawn = np.random.default_rng(seed).normal(size=(len(ids), dimension)).astype("<f4")
    attributes = '{"user":{"album":"holidays"}}'
    items = [
        pb.Item(id=each, vector=vector.tobytes(), attributes=attributes)
        for each, vector in zip(ids, drawn, strict=True)
    ]
    return pb.UpsertItemsRequest(index=NAME, model_id=MODEL, items=items, bulk=bulk)


def _upsert(stub: pb_grpc.IndexServiceStub, ids: Sequence[str], dimension: int) -> str:
    _, call = stub.UpsertItems.with_call(iter([_request(ids, dimension, hash(ids[0]) % 2**31)]))
    return str(dict(call.trailing_metadata())[_BEAT])


def _lags(
    writer: pb_grpc.IndexServiceStub, replica: pb_grpc.IndexServiceStub, writes: int, dimension: int
) -> Iterator[float]:
    """Yield the seconds from an acknowledged write until a replica has it, one write after the other."""
    rng = np.random.default_rng(0)
    for number in range(writes):
        time.sleep(rng.uniform(0, 0.5))  # at any moment of the writer's interval
        beat = _upsert(writer, [f"late-{number}-{each}" for each in range(10)], dimension)
        acknowledged = time.monotonic()
        _wait(replica, beat)
        yield time.monotonic() - acknowledged


def _wait(
    replica: pb_grpc.IndexServiceStub, beat: str, same_segments_as: pb_grpc.IndexServiceStub | None = None
) -> None:
    """Wait until a replica has a beat, and perhaps the writer's segments."""
    request = pb.GetIndexRequest(name=NAME)
    while True:
        try:
            stats = replica.GetIndex(request, metadata=((_BEAT, beat),)).index.stats
        except grpc.RpcError as error:
            if not isinstance(error, grpc.Call) or error.code() not in _NOT_THERE:
                raise
        else:
            if same_segments_as is None:
                return
            if stats.segment_row_count == same_segments_as.GetIndex(request).index.stats.segment_row_count:
                return
        time.sleep(0.01)


def _bytes(data: Path, place: str) -> int:
    """Return the bytes that were published, without those of objects that are there no more."""
    folder = Path(re.sub("^file:(//)?", "", place))
    return (
        sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_relative_to(data) else 0
    )


if __name__ == "__main__":
    typer.run(main)
