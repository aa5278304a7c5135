"""Channels to several servers, real ones in this process: which of them get calls, and how often a call is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from serving import attempts, channels
from serving.channels import Channels
from serving.patience import Patience
from tests.ports import silent_port

DEADLINE_SECONDS = 30.0
HEALTH = "example.Echo/model"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class EchoServer:
    """Counts its calls, and answers them with `fails_with` if that is set; each call begins with `ends`."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails_with: grpc.StatusCode | None = None
        self.ends: Callable[[], object] = lambda: None
        self.health = health.aio.HealthServicer()
        self.port = 0

    async def echo(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.calls += 1
        self.ends()
        if self.fails_with is not None:
            await context.abort(self.fails_with, "as the test asked")
        return request

    async def report(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        await self.health.set(HEALTH, status)


@asynccontextmanager
async def echo_servers(count: int) -> AsyncIterator[list[EchoServer]]:
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(count):
            server, echo = grpc.aio.server(), EchoServer()
            method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(echo.echo)
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("example.Echo", {"Echo": method})])
            health_pb2_grpc.add_HealthServicer_to_server(echo.health, server)
            echo.port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            stack.push_async_callback(server.stop, None)
            servers.append(echo)
        yield servers


def channel_to(servers: list[EchoServer], health_service: str = HEALTH) -> grpc.aio.Channel:
    addresses = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return Channels(2**20).open(f"ipv4:{addresses}", health_service=health_service)


async def call(channel: grpc.aio.Channel, times: int = 1) -> int:
    """Call, and return how many calls failed."""
    echo: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/example.Echo/Echo")
    failed = 0
    for _ in range(times):
        try:
            await echo(b"", timeout=DEADLINE_SECONDS)
        except grpc.aio.AioRpcError:
            failed += 1
    return failed


async def calls_until(channel: grpc.aio.Channel, servers: list[EchoServer], done: Callable[[list[int]], bool]) -> None:
    """Call in rounds of 20 until the calls that each server got in a round are as wanted."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            before = [server.calls for server in servers]
            await call(channel, 20)
            if done([server.calls - old for server, old in zip(servers, before, strict=True)]):
                return


async def test_only_servers_that_report_the_service_as_serving_get_calls() -> None:
    async with echo_servers(2) as servers, channel_to(servers) as channel:
        first, second = servers
        await first.report(SERVING)
        assert await call(channel, 10) == 0
        assert (first.calls, second.calls) == (10, 0)  # the second has never heard of the service
        await second.report(SERVING)
        await calls_until(channel, servers, lambda calls: min(calls) > 0)
        await first.report(NOT_SERVING)
        await calls_until(channel, servers, lambda calls: calls[0] == 0)
        await second.report(NOT_SERVING)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await call(channel):
                pass


async def test_a_server_whose_calls_fail_is_left_out() -> None:
    async with echo_servers(2) as servers, channel_to(servers) as channel:
        for server in servers:
            await server.report(SERVING)
        servers[0].fails_with = grpc.StatusCode.INTERNAL
        await calls_until(channel, servers, lambda calls: calls[0] == 0)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
async def test_a_call_that_one_server_does_not_take_goes_to_another(code: grpc.StatusCode) -> None:
    async with echo_servers(2) as servers, channel_to(servers, "") as channel:
        servers[0].fails_with = code
        await calls_until(channel, servers, lambda calls: min(calls) > 0)
        assert await call(channel, 3) == 0


async def test_a_patient_call_is_repeated_when_its_server_is_back() -> None:
    patience = Patience(DEADLINE_SECONDS)
    patience.report(True)
    async with echo_servers(1) as [server]:
        target = f"127.0.0.1:{server.port}"
        async with Channels(2**20).open(target, retry=False, patience=patience) as channel:
            echo: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/example.Echo/Echo")

            async def call() -> bytes:
                return await echo(b"a", timeout=DEADLINE_SECONDS)

            server.fails_with = grpc.StatusCode.UNAVAILABLE
            answering = asyncio.create_task(call())
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not server.calls:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            patience.report(False)
            server.fails_with = None
            patience.report(True)
            assert await answering == b"a"
            server.fails_with = grpc.StatusCode.UNAVAILABLE  # and the server stays
            with pytest.raises(grpc.aio.AioRpcError):
                await call()
    assert server.calls == 3


@pytest.mark.parametrize(("is_repeated", "times"), [(False, 2), (True, 1)])
async def test_a_call_whose_server_ends_each_time_is_sent_once_more_if_it_is_not_repeated(
    is_repeated: bool, times: int
) -> None:
    patience = Patience(DEADLINE_SECONDS)
    patience.report(True)
    async with echo_servers(1) as [server], asyncio.timeout(DEADLINE_SECONDS):
        server.fails_with = grpc.StatusCode.UNAVAILABLE
        server.ends = lambda: (patience.report(False), patience.report(True))
        async with Channels(2**20).open(f"127.0.0.1:{server.port}", retry=False, patience=patience) as channel:
            attempts.begin({attempts.HEADER: "1"} if is_repeated else {})
            assert await call(channel) == 1
    assert server.calls == times


@pytest.mark.parametrize(("retry", "most"), [(True, 260), (False, 200)])
async def test_retries_end_while_a_service_is_down(retry: bool, most: int) -> None:
    async with echo_servers(1) as servers:
        target = f"127.0.0.1:{servers[0].port}"
        async with Channels(2**20).open(target, retry=retry) as channel:
            servers[0].fails_with = grpc.StatusCode.UNAVAILABLE
            assert sum(await asyncio.gather(*(call(channel) for _ in range(200)))) == 200
    assert 200 <= servers[0].calls <= most


async def test_a_server_that_does_not_answer_at_all_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC itself waits 20 s for a connection."""
    monkeypatch.setattr(channels, "_CONNECT_SECONDS", 0.1)
    with silent_port() as port:
        async with Channels(2**20).open(f"127.0.0.1:{port}", retry=False) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await channel.unary_unary("/example.Echo/Echo")(b"", timeout=15.0)
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
