"""Searches a second through one gateway process and through several, side by side.

    make bench-processes

All of them work on one data folder, with the same embedder and index; their rounds alternate. The clients are four
processes, so that they are not the bottleneck, and each connects anew for each round.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from itertools import cycle
from pathlib import Path
from typing import Annotated

import grpc
import grpc.aio
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console
from rich.table import Table
from semsearch import Client, Upload
from semsearch.v1 import search_service_pb2, search_service_pb2_grpc

from benchmarks.load import Latencies, measure, until_admitted
from benchmarks.service_process import Running, processor_seconds, running

WORDS = ("dog", "boat", "fruit", "car", "cat sofa", "red flower", "vehicle -bus", "bird")
WORKERS = 4


def main(
    processes: Annotated[int, typer.Option(min=2, help="Gateway processes to compare with one.")] = 2,
    clients: Annotated[int, typer.Option(min=WORKERS, help="Callers at the same time.")] = 16,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of one measurement.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each.")] = 5,
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/processes.json"),
) -> None:
    """Compare one gateway process with several: searches a second, memory, and the cost of an added image."""
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bundle = Path("starter/bundle").absolute()
        embedder = stack.enter_context(running("embedder_service", data, f"--default-model={bundle}"))
        index = stack.enter_context(running("index_service", data))
        backends = (f"--embedder={embedder.address}", f"--index={index.address}")
        owner = stack.enter_context(running("gateway", data, f"--port={free_port()}", *backends))
        added = _fill(owner)
        shared = [f"--port={free_port()}", f"--processes={processes}", *backends]
        several = [
            stack.enter_context(running("gateway", data, *shared, log_name=f"gateway-{number}"))
            for number in range(processes)
        ]
        for gateway in several:
            wait_until_serving(gateway)
        addresses = {1: owner.address, processes: several[0].address}
        results = dict.fromkeys(addresses, Latencies((), 0.0))
        services = {"embedder": [embedder], "index": [index], "gateway": [owner, *several]}
        before: dict[str, float] = {}
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
            for round_number in range(rounds + 1):
                if round_number == 1:  # the first one warms up
                    before = processor_seconds(services)
                for count, address in addresses.items():
                    calls = [pool.submit(_search, address, clients // WORKERS, seconds) for _ in range(WORKERS)]
                    taken = beside([call.result() for call in calls])
                    if round_number:
                        results[count] += taken
        calls_in_all = sum(len(each.milliseconds) for each in results.values())
        cost = {
            name: 1_000 * (seconds - before[name]) / calls_in_all
            for name, seconds in processor_seconds(services).items()
        }
        memory = {"owner": _megabytes(owner), **{f"process {n}": _megabytes(each) for n, each in enumerate(several)}}
    rows = [
        {
            "processes": count,
            "calls_per_second": each.per_second,
            "p50_ms": each.quantile(0.5),
            "p99_ms": each.quantile(0.99),
        }
        for count, each in results.items()
    ]
    table = Table("gateway processes", "calls/s", "p50 ms", "p99 ms")
    for row in rows:
        table.add_row(*(f"{value:,.1f}" if isinstance(value, float) else str(value) for value in row.values()))
    console = Console()
    console.print(table)
    console.print("Memory in MB:", memory)
    console.print("Milliseconds of processor time for a search:", {name: round(each, 2) for name, each in cost.items()})
    console.print(f"Milliseconds of the gateway's for an added image: {added:.1f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps({"rows": rows, "memory_mb": memory, "search_cpu_ms": cost, "image_cpu_ms": added}, indent=2) + "\n"
    )


def _search(address: str, clients: int, seconds: float) -> Latencies:
    return asyncio.run(search_for(address, clients, seconds, cycle(WORDS)))


async def search_for(address: str, clients: int, seconds: float, queries: Iterator[str]) -> Latencies:
    """Search for queries with several clients at the same time, each with a connection of its own."""
    async with AsyncExitStack() as channels:
        stubs = [
            search_service_pb2_grpc.SearchServiceStub(
                await channels.enter_async_context(
                    grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
                )
            )
            for _ in range(clients)
        ]
        turns = cycle(stubs)

        def call() -> grpc.aio.UnaryUnaryCall[
            search_service_pb2.SearchByTextRequest, search_service_pb2.SearchByTextResponse
        ]:
            request = search_service_pb2.SearchByTextRequest(query=next(queries), page_size=10)
            return next(turns).SearchByText(request)

        return await measure(until_admitted(call), clients, seconds)


def beside(taken: list[Latencies]) -> Latencies:
    """Combine measurements that were made at the same time."""
    return Latencies(tuple(each for part in taken for each in part.milliseconds), max(part.seconds for part in taken))


def _fill(gateway: Running) -> float:
    """Add the starter's images; return the gateway's processor time for each in milliseconds."""
    files = sorted(Path("starter/gallery").glob("*.webp"))
    wait_until_serving(gateway)
    with Client(gateway.address) as client:
        before = gateway.cpu_seconds()
        results = list(client.index_images(Upload(file.read_bytes(), file.stem) for file in files))
        assert all(result.error is None for result in results)
        return 1_000 * (gateway.cpu_seconds() - before) / len(files)


def wait_until_serving(gateway: Running) -> None:
    """Wait until all services of a gateway are ready."""
    with grpc.insecure_channel(gateway.address) as channel:
        for answer in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return


def _megabytes(service: Running) -> float:
    """Return a process's resident memory (Linux)."""
    pages = int(Path(f"/proc/{service.process_id}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def free_port() -> int:
    """Return a port that nothing uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    typer.run(main)
