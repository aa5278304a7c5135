"""The server's interceptors, tested with a server in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from serving.interceptors import CallInterceptor

DEADLINE = 10.0
# More than flow control sends to a caller that does not read.
CHUNK, CHUNKS = b"x" * 2**20, 64


class Servicer:
    """A method that records the task of its clean-up: that of the call, or one of the garbage collector."""

    def __init__(self) -> None:
        self.chunks = 0
        self.call: asyncio.Task[Any] | None = None
        self.cleaned_up: asyncio.Future[asyncio.Task[Any] | None] = asyncio.get_running_loop().create_future()

    async def answer(self, request: Any, context: Any) -> AsyncIterator[bytes]:
        self.call = asyncio.current_task()
        try:
            for _ in range(CHUNKS):
                self.chunks += 1
                yield CHUNK
        finally:
            self.cleaned_up.set_result(asyncio.current_task())


@asynccontextmanager
async def served(make: Callable[..., Any]) -> AsyncIterator[tuple[Servicer, Any]]:
    servicer = Servicer()
    server = grpc.aio.server(interceptors=[CallInterceptor({})])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", {"Answer": make(servicer.answer)})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield servicer, channel
    finally:
        await server.stop(0)


async def one_request() -> AsyncIterator[bytes]:
    yield b""


@pytest.mark.parametrize("request_stream", [False, True])
async def test_a_cancelled_stream_is_cleaned_up_by_its_own_call(request_stream: bool) -> None:
    make = grpc.stream_stream_rpc_method_handler if request_stream else grpc.unary_stream_rpc_method_handler
    async with served(make) as (servicer, channel), asyncio.timeout(DEADLINE):
        call = (
            channel.stream_stream("/Test/Answer")(one_request())
            if request_stream
            else channel.unary_stream("/Test/Answer")(b"")
        )
        await call.read()
        call.cancel()
        assert await servicer.cleaned_up is servicer.call
    assert servicer.chunks < CHUNKS


async def test_a_stream_is_answered_completely_and_in_order() -> None:
    async with served(grpc.unary_stream_rpc_method_handler) as (servicer, channel), asyncio.timeout(DEADLINE):
        chunks = [len(chunk) async for chunk in channel.unary_stream("/Test/Answer")(b"")]
    assert chunks == [len(CHUNK)] * CHUNKS
    assert await servicer.cleaned_up is servicer.call
