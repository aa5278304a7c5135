"""The server's interceptors, tested with a server in this process."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from prometheus_client import REGISTRY

from serving.errors import InvalidField
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


async def called(channel: Any, name: str, seconds: float, *, is_stream: bool) -> object:
    """Return the first response of a call."""
    if is_stream:
        return await channel.unary_stream(f"/Test/{name}")(b"", timeout=seconds).read()
    return await channel.unary_unary(f"/Test/{name}")(b"", timeout=seconds)


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


@pytest.mark.parametrize("make", [grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler])
async def test_a_failed_call_keeps_nothing_of_its_request(make: Callable[..., Any]) -> None:
    class Request:
        """Can be referred to weakly."""

    requests: weakref.WeakSet[Request] = weakref.WeakSet()

    def received(_: bytes) -> Request:
        requests.add(request := Request())
        return request

    async def refuse(request: Request, _: Any) -> bytes:
        raise InvalidField("request", "is refused.")

    async def refuse_stream(request: Request, _: Any) -> AsyncIterator[bytes]:
        raise InvalidField("request", "is refused.")
        yield b""

    is_stream = make is grpc.unary_stream_rpc_method_handler
    server = grpc.aio.server(interceptors=[CallInterceptor({})])
    handler = make(refuse_stream if is_stream else refuse, received)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", {"Answer": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    gc.collect()
    gc.disable()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for _ in range(5):
                with pytest.raises(grpc.aio.AioRpcError, match="is refused"):
                    await called(channel, "Answer", DEADLINE, is_stream=is_stream)
        await server.stop(0)
        assert len(requests) == 0
    finally:
        gc.enable()
        await server.stop(0)


@pytest.mark.parametrize(("name", "code"), [("Hang", "DEADLINE_EXCEEDED"), ("WatchSomething", "CANCELLED")])
@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_call_whose_deadline_passes_is_counted_as_late_and_a_watch_is_not(
    name: str, code: str, is_stream: bool
) -> None:
    def count() -> float:
        labels = {"grpc_service": "Test", "grpc_method": name, "grpc_code": code}
        return REGISTRY.get_sample_value("grpc_server_handled_total", labels) or 0.0

    async def hang(_: bytes, __: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def hang_stream(_: bytes, __: Any) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    server = grpc.aio.server(interceptors=[CallInterceptor({})])
    handler = (
        grpc.unary_stream_rpc_method_handler(hang_stream) if is_stream else grpc.unary_unary_rpc_method_handler(hang)
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", {name: handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    before = count()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError, match="Deadline Exceeded"):
                await called(channel, name, 0.3, is_stream=is_stream)
            async with asyncio.timeout(DEADLINE):
                while count() == before:  # noqa: ASYNC110 — nothing has an event for it
                    await asyncio.sleep(0.001)
    finally:
        await server.stop(0)
    assert count() == before + 1
