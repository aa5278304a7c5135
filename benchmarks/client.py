"""What the Python client adds to a call through gRPC's own stub, and how long it takes to import.

    .venv/bin/python -m benchmarks.client

All figures are processor time of this process, so that other load on the machine changes them little. The server is
another process, and answers with a page of matches. "Stub" reads the response and does nothing with it; the client also
translates it to its values, which "of that, values" shows.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import grpc
import grpc.aio
from google.protobuf import struct_pb2
from rich.console import Console
from rich.table import Table
from semsearch import AsyncClient, Client
from semsearch.rpc_errors import GATEWAY
from semsearch.translate import image_matches
from semsearch.transport.server import Server
from semsearch.v1 import image_pb2, search_service_pb2, search_service_pb2_grpc
from typing_extensions import override

ROUNDS, CALLS = 150, 20
MATCHES = (0, 20)
IMPORTS = 5
REQUEST = search_service_pb2.SearchByTextRequest(query="dog")


def response(matches: int) -> bytes:
    """Return a page of matches as it travels."""
    attributes = struct_pb2.Struct()
    attributes.update({"path": "2024/summer/beach.jpg", "label": "beach", "rating": 4})
    image = image_pb2.Image(
        id="0" * 64, collection="gallery", sha256="0" * 64, media_type="image/jpeg", width=1, attributes=attributes
    )
    match = search_service_pb2.ImageMatch(image=image, distance=0.5, similarity=0.875, relevance=0.75)
    return search_service_pb2.SearchByTextResponse(matches=[match] * matches).SerializeToString()


def serve(answer: bytes, addresses: Connection) -> None:
    """Answer each call with the same bytes, until the process is ended."""

    class Canned(grpc.GenericRpcHandler):
        @override
        def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
            return grpc.unary_unary_rpc_method_handler(lambda _, __: answer)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Canned()])
    addresses.send(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    server.start()
    server.wait_for_termination()


async def measure(address: str) -> dict[str, float]:
    """Return the time of each call in µs, in its fastest round, by name."""
    own = Server(address, GATEWAY)
    times: dict[str, list[float]] = {}

    def note(name: str, began: float) -> None:
        times.setdefault(name, []).append((time.process_time() - began) / CALLS)

    with grpc.insecure_channel(address) as channel, Client(address) as client:
        async with grpc.aio.insecure_channel(address) as async_channel, AsyncClient(address) as async_client:
            stub = search_service_pb2_grpc.SearchServiceStub(channel)
            async_stub = search_service_pb2_grpc.SearchServiceStub(async_channel)
            received = stub.SearchByText(REQUEST).SerializeToString()
            blocking: dict[str, Callable[[], object]] = {
                "stub": lambda: stub.SearchByText(REQUEST, timeout=30),
                "client": lambda: client.search_by_text("dog"),
                "parsed": lambda: search_service_pb2.SearchByTextResponse.FromString(received),
                "translated": lambda: image_matches(search_service_pb2.SearchByTextResponse.FromString(received), own),
            }
            for _ in range(ROUNDS):
                for name, call in blocking.items():
                    began = time.process_time()
                    for _ in range(CALLS):
                        call()
                    note(name, began)
                began = time.process_time()
                for _ in range(CALLS):
                    await async_stub.SearchByText(REQUEST, timeout=30)
                note("asyncio stub", began)
                began = time.process_time()
                for _ in range(CALLS):
                    await async_client.search_by_text("dog")
                note("asyncio client", began)
    return {name: 1e6 * min(each) for name, each in times.items()}


def import_seconds(statement: str) -> float:
    """Return the least time of an import in a new process."""
    script = f"import time; began = time.process_time(); {statement}; print(time.process_time() - began)"
    return min(
        float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
        for _ in range(IMPORTS)
    )


def main() -> None:
    """Measure, and print the tables."""
    table = Table("matches", "stub µs", "Client adds", "of that, values", "asyncio stub µs", "AsyncClient adds")
    context = multiprocessing.get_context("spawn")
    for matches in MATCHES:
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(response(matches), there), daemon=True)
        process.start()
        times = asyncio.run(measure(here.recv()))
        process.terminate()
        process.join()
        added = (
            times["client"] - times["stub"],
            times["translated"] - times["parsed"],
            times["asyncio client"] - times["asyncio stub"],
        )
        table.add_row(
            str(matches),
            f"{times['stub']:.0f}",
            f"{added[0]:.0f}",
            f"{added[1]:.0f}",
            f"{times['asyncio stub']:.0f}",
            f"{added[2]:.0f}",
        )
    Console().print(table)
    for statement in ("import grpc", "from semsearch import Client", "from semsearch import AsyncClient"):
        Console().print(f"{statement}: {import_seconds(statement):.3f} s")


if __name__ == "__main__":
    main()
