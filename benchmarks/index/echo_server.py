"""The cost of a search over gRPC without searching: the same messages, with no work between them.

    python -m benchmarks.index.echo_server ROWS

It answers IndexService.Search by decoding the query and naming ten items of an index of ROWS rows, with the index
service's own messages, and /benchmarks.Echo/Once with undecoded bytes of the same size. It prints its port.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
import numpy as np
from numpy.typing import NDArray
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc

from benchmarks.echo_server import ONCE
from benchmarks.index.measure import Competitor
from benchmarks.index.service import search_request
from benchmarks.index.vectors import K

BARE = "bare gRPC echo"
DECODING = "bare gRPC echo, decoding"

Context = grpc.aio.ServicerContext[Any, Any]


async def serve(rows: int) -> None:
    """Serve until the process is terminated."""
    items = [(str(rows - 1 - place), 0.1 * place) for place in range(K)]

    def answer() -> pb.SearchResponse:
        neighbors = [pb.Neighbor(id=item_id, distance=distance) for item_id, distance in items]
        return pb.SearchResponse(results=[pb.SearchResult(neighbors=neighbors)])

    async def search(request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        for query in request.queries:
            np.frombuffer(query.vector, dtype="<f4")
        return answer()

    answer_bytes = answer().SerializeToString()

    async def once(request: bytes, context: Context) -> bytes:
        return answer_bytes

    server = grpc.aio.server()
    searching = grpc.unary_unary_rpc_method_handler(
        search, pb.SearchRequest.FromString, pb.SearchResponse.SerializeToString
    )
    methods: dict[str, dict[str, Any]] = {
        pb.DESCRIPTOR.services_by_name["IndexService"].full_name: {"Search": searching},
        "benchmarks.Echo": {"Once": grpc.unary_unary_rpc_method_handler(once)},
    }
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(name, handlers) for name, handlers in methods.items())
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


@contextmanager
def running(rows: int) -> Iterator[list[Competitor]]:
    """Start the server and yield both echoes as competitors that find nothing."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.index.echo_server", str(rows)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        with process.stdout, grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
            stub = pb_grpc.IndexServiceStub(channel)
            once: Any = channel.unary_unary(ONCE)  # bytes in, bytes out: stubs without serialisers have no types
            nothing = np.empty(0, dtype=np.intp)

            def bare(query: NDArray[np.float32]) -> NDArray[np.intp]:
                once(query.tobytes())  # 1,200 bytes, 20 fewer than the message
                return nothing

            def decoding(query: NDArray[np.float32]) -> NDArray[np.intp]:
                stub.Search(search_request(query))
                return nothing

            yield [Competitor(BARE, bare), Competitor(DECODING, decoding)]
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
