"""The health of a neighbour that hangs: it is a process that is suspended, so the system still answers for it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import cast

import pytest

from gateway.backends import dependency_health
from gateway.backends.dependency_health import watch_health
from gateway.backends.index_replicas import open_replicas
from serving.channels import Channels
from tests.unit.gateway.core import until

_SERVICE = "semsearch.index.v1.IndexService"
_NEIGHBOUR = f"""
import asyncio
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

async def serve():
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set("{_SERVICE}", health_pb2.HealthCheckResponse.SERVING)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()

asyncio.run(serve())
"""
CHANNELS = Channels(2**20)


@asynccontextmanager
async def neighbour() -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Start a process that reports itself as well; yield it and its address."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _NEIGHBOUR, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = int(await asyncio.wait_for(process.stdout.readline(), 60))
        yield process, f"127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@pytest.fixture(autouse=True)
def watches_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependency_health, "_WATCH_SECONDS", 1.0)


@pytest.fixture
def answers_are_due_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependency_health, "_ANSWER_SECONDS", 1.0)


@pytest.mark.usefixtures("answers_are_due_soon")
async def test_a_neighbour_that_hangs_when_its_watch_is_renewed_is_not_well_until_it_is_back() -> None:
    async with neighbour() as (process, address), CHANNELS.open(address) as channel:
        watch = cast("AsyncGenerator[bool, None]", watch_health(channel, _SERVICE))
        async with aclosing(watch), asyncio.timeout(30):
            while not await anext(watch):
                pass
            process.send_signal(signal.SIGSTOP)
            while await anext(watch):
                pass
            process.send_signal(signal.SIGCONT)
            while not await anext(watch):
                pass


async def test_a_neighbour_that_is_well_stays_so_when_its_watch_is_renewed() -> None:
    async with neighbour() as (_, address), CHANNELS.open(address) as channel:
        watch = cast("AsyncGenerator[bool, None]", watch_health(channel, _SERVICE))
        async with aclosing(watch), asyncio.timeout(30):
            assert [await anext(watch) for _ in range(3)] == [True] * 3


@pytest.mark.usefixtures("answers_are_due_soon")
async def test_a_read_replica_that_hangs_when_its_watch_is_renewed_is_not_well_until_it_is_back() -> None:
    async with neighbour() as (process, address), open_replicas([address], CHANNELS) as [replica], asyncio.timeout(30):
        await until(lambda: replica.is_well)
        process.send_signal(signal.SIGSTOP)
        await until(lambda: not replica.is_well)
        process.send_signal(signal.SIGCONT)
        await until(lambda: replica.is_well)
