"""Latency of searching and tagging through the whole suite, compared with the cost of gRPC alone.

    make run-all            # in one terminal
    make bench              # in another

Rounds of all calls alternate, so that other load on the machine affects each equally. Compare the columns of one run,
never two runs.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import grpc
import grpc.aio
import typer
from rich.console import Console
from rich.table import Table
from semsearch.v1 import gallery_service_pb2, gallery_service_pb2_grpc, search_service_pb2, search_service_pb2_grpc

from benchmarks.echo_server import ONCE, TWO_HOP
from benchmarks.load import Call, Latencies, measure, until_admitted

PAYLOAD = bytes(1_000)  # about the size of an answer to a query
WORDS = ("dog", "boat", "fruit", "car", "cat sofa", "red flower", "vehicle -bus", "bird")
IMAGES = 50
CLIENTS = (1, 16)
Results = dict[tuple[str, int], Latencies]


@asynccontextmanager
async def calls_to(server: str) -> AsyncIterator[Mapping[str, Call]]:
    """Yield the calls to measure, by name; raise grpc.aio.AioRpcError if the suite does not answer."""
    once, once_port = _start()
    twice, twice_port = _start(f"127.0.0.1:{once_port}")
    try:
        async with (
            grpc.aio.insecure_channel(server) as suite,
            grpc.aio.insecure_channel(f"127.0.0.1:{once_port}") as echo,
            grpc.aio.insecure_channel(f"127.0.0.1:{twice_port}") as two_hop,
        ):
            search = search_service_pb2_grpc.SearchServiceStub(suite)
            gallery = gallery_service_pb2_grpc.GalleryServiceStub(suite)
            page = await gallery.ListImages(gallery_service_pb2.ListImagesRequest(page_size=IMAGES), timeout=10)
            files = cycle([await _download(gallery, image.id) for image in page.images])
            ids, words = cycle(image.id for image in page.images), cycle(WORDS)
            echo_once: Any = echo.unary_unary(ONCE)  # bytes in, bytes out: stubs without serialisers have no types
            echo_twice: Any = two_hop.unary_unary(TWO_HOP)
            yield {
                "bare echo": lambda: echo_once(PAYLOAD),
                "bare two-hop": lambda: echo_twice(PAYLOAD),
                "SearchByText": lambda: search.SearchByText(
                    search_service_pb2.SearchByTextRequest(query=next(words), page_size=10)
                ),
                "TagImage": lambda: search.TagImage(search_service_pb2.TagImageRequest(content=next(files))),
                "TagImage, stored": lambda: search.TagImage(search_service_pb2.TagImageRequest(image_id=next(ids))),
            }
    finally:
        for process in (once, twice):
            process.terminate()
            process.wait()


async def run(server: str, seconds: float, rounds: int) -> Results:
    """Measure every call with every number of clients, round by round."""
    results: Results = {}
    async with calls_to(server) as calls:
        calls = {name: until_admitted(call) for name, call in calls.items()}
        for call in calls.values():
            await measure(call, clients=4, seconds=min(1.0, seconds))  # connections, caches, graphs
        for _ in range(rounds):
            for clients in CLIENTS:
                for name, call in calls.items():
                    taken = await measure(call, clients, seconds)
                    results[name, clients] = results.get((name, clients), Latencies((), 0.0)) + taken
    return results


def main(
    server: Annotated[str, typer.Option(help="Address of the gateway.")] = "127.0.0.1:50051",
    seconds: Annotated[float, typer.Option(min=0.05, help="Length of one measurement.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each call.")] = 3,
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/latency.json"),
) -> None:
    """Measure SearchByText and TagImage, compared with a bare echo and a bare two-hop call."""
    try:
        results = asyncio.run(run(server, seconds, rounds))
    except grpc.aio.AioRpcError as error:
        print(
            f"The gateway at {server} does not answer ({error.code().name}). Run `make run-all` first.", file=sys.stderr
        )
        raise typer.Exit(1) from error
    table = Table("call", "clients", "p50 ms", "p99 ms", "calls/s", "p50 / two-hop")
    rows = []
    for (name, clients), taken in results.items():
        ratio = taken.quantile(0.5) / results["bare two-hop", clients].quantile(0.5)
        row = {
            "call": name,
            "clients": clients,
            "p50_ms": taken.quantile(0.5),
            "p99_ms": taken.quantile(0.99),
            "calls_per_second": taken.per_second,
            "p50_to_two_hop": ratio,
        }
        rows.append(row)
        table.add_row(
            name, str(clients), f"{taken.quantile(0.5):.2f}", f"{taken.quantile(0.99):.2f}",
            f"{taken.per_second:,.0f}", f"{ratio:.2f}",
        )  # fmt: skip
    Console().print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=2) + "\n")


async def _download(gallery: gallery_service_pb2_grpc.GalleryServiceAsyncStub, image_id: str) -> bytes:
    parts = gallery.DownloadImage(gallery_service_pb2.DownloadImageRequest(id=image_id), timeout=10)
    return b"".join([part.chunk async for part in parts])


def _start(*arguments: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.echo_server", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


if __name__ == "__main__":
    typer.run(main)
