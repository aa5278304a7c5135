"""The cost of gRPC in Python alone: a server that echoes its input, directly or through two further calls.

    python -m benchmarks.echo_server              # answers /benchmarks.Echo/Once
    python -m benchmarks.echo_server HOST:PORT    # answers /benchmarks.Echo/TwoHop through the Once of another

It prints its port.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio

ONCE = "/benchmarks.Echo/Once"
TWO_HOP = "/benchmarks.Echo/TwoHop"

Context = grpc.aio.ServicerContext[Any, Any]


async def _once(request: bytes, context: Context) -> bytes:
    return request


async def serve(downstream: str | None) -> None:
    """Serve until the process is terminated."""
    methods: dict[str, Any] = {"Once": grpc.unary_unary_rpc_method_handler(_once)}
    if downstream is not None:
        further: Any = grpc.aio.insecure_channel(downstream).unary_unary(ONCE)

        async def two_hop(request: bytes, context: Context) -> bytes:
            answer: bytes = await further(await further(request))
            return answer

        methods["TwoHop"] = grpc.unary_unary_rpc_method_handler(two_hop)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("benchmarks.Echo", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1] if len(sys.argv) > 1 else None))
