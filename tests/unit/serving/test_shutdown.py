"""How a server ends: what becomes of its calls, and that clients cannot keep it from ending."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from serving.channels import Channels
from serving.drain import Drain, until_shutdown
from serving.health_reports import HealthReports
from serving.interceptors import CallInterceptor
from serving.received_errors import from_status, retry_delay_seconds
from serving.shutdown import shut_down

DEADLINE_SECONDS = 60.0
NEVER = 2 * DEADLINE_SECONDS


@dataclass
class Server:
    """Methods that answer at once, when the test says so, never, and with or after endless streams."""

    port: int = 0
    entered: int = 0
    drain: Drain = field(default_factory=Drain)
    reports: HealthReports = field(default_factory=HealthReports)
    grpc: grpc.aio.Server = field(init=False)
    may_finish: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.grpc = grpc.aio.server(interceptors=[CallInterceptor({}, (self.drain,))])
        handlers = {
            "Echo": grpc.unary_unary_rpc_method_handler(self._echo),
            "Hang": grpc.unary_unary_rpc_method_handler(self._hang),
            "Finish": grpc.unary_unary_rpc_method_handler(self._finish),
            "WatchNothing": grpc.unary_unary_rpc_method_handler(self._hang),
            "Flood": grpc.unary_stream_rpc_method_handler(self._flood),
            "Upload": grpc.stream_stream_rpc_method_handler(self._upload),
        }
        self.grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", handlers)])
        health_pb2_grpc.add_HealthServicer_to_server(self.reports, self.grpc)
        self.reports.set("Test", True)

    async def end(self, seconds: float) -> None:
        await shut_down(self.grpc, None, self.reports, self.drain, seconds)

    async def wait_for_calls(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.entered >= count)

    async def _enter(self) -> None:
        async with self.changed:
            self.entered += 1
            self.changed.notify_all()

    async def _echo(self, request: bytes, context: object) -> bytes:
        return request

    async def _hang(self, request: bytes, context: object) -> bytes:
        await self._enter()
        await asyncio.Event().wait()
        return b""

    async def _finish(self, request: bytes, context: object) -> bytes:
        await self._enter()
        await self.may_finish.wait()
        return b"done"

    async def _flood(self, request: bytes, context: object) -> AsyncIterator[bytes]:
        await self._enter()
        while True:
            yield b"x" * 2**20

    async def _upload(self, requests: AsyncIterator[bytes], context: object) -> AsyncIterator[bytes]:
        await self._enter()
        async for request in until_shutdown(requests):
            yield request


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Server, Any]]:
    server = Server()
    server.port = server.grpc.add_insecure_port("127.0.0.1:0")
    await server.grpc.start()
    async with asyncio.timeout(DEADLINE_SECONDS), grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        try:
            yield server, channel
        finally:
            await server.grpc.stop(None)


def is_retryable(error: grpc.aio.AioRpcError) -> bool:
    """Return whether an error is the status of a server that shuts down."""
    status = rpc_status.from_call(error)
    if status is None:
        return False
    status = status_pb2.Status.FromString(status.SerializeToString())
    return (
        error.code() == grpc.StatusCode.UNAVAILABLE
        and from_status(status)[0] == "SHUTTING_DOWN"
        and bool(retry_delay_seconds(status))
    )


async def test_a_call_that_outlasts_the_drain_is_told_to_try_again() -> None:
    async with served() as (server, channel):
        hanging = channel.unary_unary("/Test/Hang")(b"")
        await server.wait_for_calls(1)
        await server.end(0.1)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await hanging
    assert is_retryable(error.value)


async def test_calls_are_answered_until_clients_know_then_refused_and_those_in_progress_finish() -> None:
    async with served() as (server, channel):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="Test"))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        finishing = channel.unary_unary("/Test/Finish")(b"")
        endless = channel.unary_unary("/Test/WatchNothing")(b"")
        await server.wait_for_calls(2)

        server.reports.begin_shutdown()
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        server.reports.set("Test", True)  # too late
        assert await channel.unary_unary("/Test/Echo")(b"a") == b"a"
        server.drain.refuse()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary("/Test/Echo")(b"a")
        assert is_retryable(refused.value)
        ending = asyncio.create_task(server.end(DEADLINE_SECONDS))
        with pytest.raises(grpc.aio.AioRpcError) as watched:
            await endless
        assert is_retryable(watched.value)
        server.may_finish.set()
        assert await finishing == b"done"
        await ending
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await watch.read()
    assert ended.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_no_call_fails_while_one_of_two_servers_ends() -> None:
    answered = 0

    async def keep_calling(port: int, other: int) -> None:
        nonlocal answered
        async with Channels(2**20).open(f"ipv4:127.0.0.1:{port},127.0.0.1:{other}") as channel:
            echo: Any = channel.unary_unary("/Test/Echo")
            while not has_ended.is_set():
                assert await echo(b"a", timeout=DEADLINE_SECONDS) == b"a"
                answered += 1

    has_ended = asyncio.Event()
    async with served() as (one, _), served() as (other, _), asyncio.TaskGroup() as callers:
        for _ in range(8):
            callers.create_task(keep_calling(one.port, other.port))
        while answered < 100:  # noqa: ASYNC110 — the callers end the wait if one fails
            await asyncio.sleep(0.01)
        await one.end(DEADLINE_SECONDS)
        before = answered
        while answered < before + 100:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        has_ended.set()


async def test_a_stream_of_requests_ends_when_those_that_arrived_are_answered() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(NEVER)

    async with served() as (server, channel):
        stream = channel.stream_stream("/Test/Upload")(endless())
        assert await stream.read() == b"a"
        await server.end(DEADLINE_SECONDS)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stream.read()
    assert is_retryable(error.value)


async def test_clients_that_never_end_a_call_do_not_keep_a_server_from_ending() -> None:
    async def never_finishing() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(NEVER)

    async with served() as (server, channel):
        flood = channel.unary_stream("/Test/Flood")(b"")  # never read
        upload = channel.stream_stream("/Test/Upload")(never_finishing())
        assert await upload.read() == b"a"
        hanging = channel.unary_unary("/Test/Hang")(b"")
        with closing(deaf_client(server.port, "/Test/Hang")), closing(deaf_client(server.port, "/Test/Flood")):
            await server.wait_for_calls(5)
            await server.end(0.5)
        for ended in (upload.read(), hanging):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await ended
            assert is_retryable(error.value)
        flood.cancel()


async def test_a_watcher_of_the_health_that_reads_nothing_keeps_nobody_from_it() -> None:
    async with served() as (server, channel):
        with closing(deaf_client(server.port, "/grpc.health.v1.Health/Watch")):
            stub = health_pb2_grpc.HealthStub(channel)
            for serving in [False, True] * 50:
                server.reports.set("Test", serving)
                answer = await stub.Check(health_pb2.HealthCheckRequest(service="Test"))
                assert (answer.status == health_pb2.HealthCheckResponse.SERVING) == serving
            await server.end(0.1)


def deaf_client(port: int, path: str) -> socket.socket:
    """Make a call with an empty message, accept no data in return, and ignore whatever the server sends: GOAWAY too."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "test",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    encoded = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())
    open_socket = socket.create_connection(("127.0.0.1", port))
    open_socket.sendall(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, 0))
        + _frame(_HEADERS, _END_HEADERS, 1, encoded)
        + _frame(_DATA, _END_STREAM, 1, bytes(5))
    )
    return open_socket


# HTTP/2 (RFC 9113), and header fields that are neither indexed nor compressed (RFC 7541).
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4
_INITIAL_WINDOW_SIZE = 4


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()
