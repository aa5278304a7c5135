"""Quotas in front of a server over gRPC."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_status import rpc_status
from semsearch.v1 import error_reason_pb2 as reasons

from serving import callers
from serving.callers import Caller, Role
from serving.error_status import ErrorStatus, ErrorTable
from serving.gates import Call
from serving.interceptors import CallInterceptor
from serving.quotas.allowances import Allowance, Allowances
from serving.quotas.gate import QuotaGate
from serving.quotas.limiter import Limiter
from serving.quotas.quota import Kind, Quota
from serving.received_errors import from_status, retry_delay_seconds

DEADLINE = 10.0


class Busy(Exception):
    """A service behind is too busy."""


class Absent(Exception):
    """What the call is about is not there."""


REFUSALS = {b"busy": Busy(), b"absent": Absent()}
ERRORS: ErrorTable = {
    Busy: lambda _: ErrorStatus(grpc.StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_OVERLOADED),
    Absent: lambda _: ErrorStatus(grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_IMAGE_NOT_FOUND),
}


class Named:
    """A gate that takes the caller's word for its name; "suite:ann" is the suite on ann's behalf."""

    @asynccontextmanager
    async def enter(self, call: Call) -> AsyncIterator[None]:
        if name := call.metadata.get("name", ""):
            callers.begin(Caller(name.removeprefix("suite:"), Role.READ), from_suite=name.startswith("suite:"))
        yield

    def check(self, call: Call, request: Any) -> None:
        pass


@asynccontextmanager
async def served(allowance: Allowance, folder: Path) -> AsyncIterator[tuple[QuotaGate, Any, Any, Any]]:
    async def answer(request: bytes, context: Any) -> bytes:
        return request

    async def behind(request: bytes, context: Any) -> bytes:
        raise REFUSALS[request]

    async def count(requests: AsyncIterator[bytes], context: Any) -> bytes:
        return str(len([request async for request in requests])).encode()

    costs = {"Test/Count": lambda request: {Kind.WRITE: len(request)}}
    gate = QuotaGate(Limiter(Allowances(allowance)), costs, folder / "quotas" / "test.sqlite", ERRORS)
    server = grpc.aio.server(interceptors=[CallInterceptor(ERRORS, [Named(), gate])])
    methods = {
        "Answer": grpc.unary_unary_rpc_method_handler(answer),
        "Behind": grpc.unary_unary_rpc_method_handler(behind),
        "Count": grpc.stream_unary_rpc_method_handler(count),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    async with gate.keeping_counts(), asyncio.timeout(DEADLINE):
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield gate, channel.unary_unary("/Test/Answer"), channel.stream_unary("/Test/Count"), channel
        finally:
            await server.stop(0)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 — nothing else shows it
        await asyncio.sleep(0.01)


async def test_calls_beyond_the_quota_are_refused_for_their_caller_only(tmp_path: Path) -> None:
    async with served(Allowance(read=Quota.parse("1/hour, burst 2")), tmp_path) as (_, answer, *_rest):
        for name in ("ann", "ann", "bob", "", "", "suite:ann", "suite:ann"):
            assert await answer(b"1", metadata=[("name", name)]) == b"1"
        for name in ("ann", ""):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await answer(b"1", metadata=[("name", name)])
            status = rpc_status.from_call(refused.value)
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert from_status(status) == ("RATE_EXCEEDED", {"quota": "read/hour", "limit": "1"})
            assert 3_500 < (retry_delay_seconds(status) or 0) <= 3_600


async def test_a_stream_is_slowed_down_by_a_rate_and_ended_by_a_daily_quota(tmp_path: Path) -> None:
    async with served(Allowance(write=Quota.parse("20/s, burst 1, 12/day")), tmp_path) as (_, _answer, count, _channel):
        began = asyncio.get_running_loop().time()
        assert await count(iter([b"1"] * 10)) == b"10"
        assert asyncio.get_running_loop().time() - began >= 9 / 20
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await count(iter([b"1"] * 10))
        assert from_status(rpc_status.from_call(refused.value))[0] == "QUOTA_USED_UP"


async def test_a_stream_waits_for_its_rate_however_long_and_goes_on_when_the_quota_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(Allowance(write=Quota.parse("1/hour")), tmp_path) as (gate, _answer, count, _channel):
        tries: list[Any] = []
        take = gate.limiter.take
        monkeypatch.setattr(gate.limiter, "take", lambda *message: (tries.append(message), take(*message))[1])
        stream = asyncio.ensure_future(count(iter([b"1", b"1"])))
        await until(lambda: len(tries) == 2 or stream.done())
        assert not stream.done()
        gate.limiter.allowances = Allowances()
        assert await stream == b"2"


async def test_a_call_that_a_busy_service_behind_refuses_costs_nothing(tmp_path: Path) -> None:
    async with served(Allowance(read=Quota.parse("1/hour, burst 2, 2/day")), tmp_path) as (*_, channel):
        behind = channel.unary_unary("/Test/Behind")
        outcomes = []
        for request in (b"busy", b"busy", b"absent", b"busy", b"absent", b"absent"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await behind(request)
            outcomes.append(from_status(rpc_status.from_call(refused.value))[0])
        overloaded, absent = "OVERLOADED", "IMAGE_NOT_FOUND"
        assert outcomes == [overloaded, overloaded, absent, overloaded, absent, "QUOTA_USED_UP"]


async def test_what_was_used_today_survives_a_restart(tmp_path: Path) -> None:
    allowance = Allowance(read=Quota.parse("3/day"))
    async with served(allowance, tmp_path) as (_, answer, *_rest):
        for _ in range(2):
            await answer(b"1")
    async with served(allowance, tmp_path) as (gate, answer, *_rest):
        await until(lambda: gate.limiter.days.used("127.0.0.1", Kind.READ, time.time()) == 2)
        await answer(b"1")
        with pytest.raises(grpc.aio.AioRpcError):
            await answer(b"1")


async def test_what_is_being_stored_when_the_process_ends_counts_once(tmp_path: Path) -> None:
    file = tmp_path / "test.sqlite"
    limiter = Limiter(Allowances(Allowance(read=Quota.parse("1000/day"))))
    limiter.take(Caller("ann", Role.READ), "", {Kind.READ: 100})
    with closing(sqlite3.connect(file, isolation_level=None)) as other_process:
        other_process.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(DEADLINE), AsyncExitStack() as running:
            await running.enter_async_context(QuotaGate(limiter, {}, file, {}).keeping_counts())
            await until(lambda: not limiter.days._added)  # so the process is storing them
            ending = asyncio.create_task(running.aclose())
            for _ in range(5):
                await asyncio.sleep(0)
            other_process.execute("COMMIT")
            await ending
            await asyncio.get_running_loop().shutdown_default_executor()  # as at the end of a process
        assert other_process.execute("SELECT caller, units FROM used").fetchall() == [("caller ann", 100)]


async def test_streams_count_as_calls_in_progress(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def requests() -> AsyncIterator[bytes]:
        yield b"1"
        await go_on.wait()

    async with served(Allowance(calls=1), tmp_path) as (gate, answer, count, _channel):
        stream = asyncio.ensure_future(count(requests()))
        await until(lambda: bool(gate.limiter._calls))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await answer(b"1")
        assert from_status(rpc_status.from_call(refused.value))[0] == "TOO_MANY_CALLS"
        go_on.set()
        assert await stream == b"1"
        assert await answer(b"1") == b"1"
