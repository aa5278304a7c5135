"""The gate of admission in front of methods, over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_status import rpc_status
from prometheus_client import REGISTRY

from serving import lanes
from serving.adaptive_limit import FIRST
from serving.admission import Admission, Outcome, Ticket
from serving.admission_gate import INNER_WAITS, AdmissionGate, MethodLanes
from serving.channels import Channels
from serving.interceptors import CallInterceptor
from serving.lanes import HEADER, Lane
from serving.received_errors import from_status, retry_delay_seconds

DEADLINE = 10.0
LANES = MethodLanes(
    limited={"Test/Answer": Lane.INTERACTIVE, "Test/Upload": Lane.BULK}, unlimited={"Test/Stream": Lane.BULK}
)


class Servicer:
    """Answers with the call's lane, once it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = 0
        self.ended = 0

    async def answer(self, request: bytes, context: Any) -> bytes:
        self.begun += 1
        try:
            await self.go.wait()
            return lanes.current().value.encode()
        finally:
            self.ended += 1


@asynccontextmanager
async def served(method_lanes: MethodLanes = LANES) -> AsyncIterator[tuple[Servicer, Any]]:
    servicer = Servicer()
    server = grpc.aio.server(interceptors=[CallInterceptor({}, [AdmissionGate(method_lanes, {})])])
    handler = grpc.unary_unary_rpc_method_handler(servicer.answer)
    methods = dict.fromkeys(("Answer", "Upload", "Stream"), handler)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with (
            Channels(2**22).open(f"127.0.0.1:{port}") as channel,
            asyncio.timeout(DEADLINE),
        ):
            yield servicer, channel
    finally:
        await server.stop(0)


async def until(condition: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 — nothing has an event for it
            await asyncio.sleep(0.001)


def waiting_calls() -> float | None:
    return REGISTRY.get_sample_value("semsearch_admission_waiting", {"lane": "interactive"})


async def test_a_call_above_the_limit_is_refused_and_says_when_to_try_again() -> None:
    async with served() as (servicer, channel):
        calls = [channel.unary_unary("/Test/Answer")(b"") for _ in range(FIRST)]
        await until(lambda: servicer.begun == FIRST)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary("/Test/Answer")(b"")
        status = rpc_status.from_call(refused.value)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert from_status(status) == ("OVERLOADED", {"lane": "interactive"})
        assert retry_delay_seconds(status) == 1.0
        assert servicer.begun == FIRST
        servicer.go.set()
        assert await asyncio.gather(*calls) == [b"interactive"] * FIRST


async def test_a_call_that_is_not_answered_before_its_deadline_counts_as_one_that_took_that_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes: list[Outcome] = []
    leave = Admission.leave

    def noted(self: Admission, ticket: Ticket, now: float, outcome: Outcome = Outcome.OTHER) -> None:
        outcomes.append(outcome)
        leave(self, ticket, now, outcome)

    monkeypatch.setattr(Admission, "leave", noted)
    async with served() as (servicer, channel):
        with pytest.raises(grpc.aio.AioRpcError, match="Deadline Exceeded"):
            await channel.unary_unary("/Test/Answer")(b"", timeout=0.2)
        await until(lambda: outcomes)
        gone = channel.unary_unary("/Test/Answer")(b"")
        await until(lambda: servicer.begun == 2)
        gone.cancel()
        await until(lambda: len(outcomes) == 2)
    assert outcomes == [Outcome.ANSWERED, Outcome.OTHER]


async def test_calls_whose_request_does_not_come_keep_no_others_out() -> None:
    async with served() as (servicer, channel):
        servicer.go.set()
        empty = [channel.stream_unary("/Test/Answer")(timeout=DEADLINE) for _ in range(3 * FIRST)]
        await asyncio.gather(*(call.wait_for_connection() for call in empty))
        assert await asyncio.gather(*(channel.unary_unary("/Test/Answer")(b"") for _ in range(FIRST))) == (
            [b"interactive"] * FIRST
        )
        assert servicer.begun == FIRST
        for call in empty:
            call.cancel()


async def test_methods_without_a_limit_begin_at_once() -> None:
    async with served() as (servicer, channel):
        calls = [channel.unary_unary("/Test/Stream")(b"") for _ in range(3 * FIRST)]
        await until(lambda: servicer.begun == 3 * FIRST)
        servicer.go.set()
        assert await asyncio.gather(*calls) == [b"bulk"] * (3 * FIRST)


async def test_a_call_that_is_cancelled_while_it_waits_never_begins_and_leaves_its_place() -> None:
    patient = MethodLanes(limited=LANES.limited, waits={**INNER_WAITS, Lane.INTERACTIVE: DEADLINE})
    async with served(patient) as (servicer, channel):
        calls = [channel.unary_unary("/Test/Answer")(b"") for _ in range(FIRST)]
        await until(lambda: servicer.begun == FIRST)
        gone = channel.unary_unary("/Test/Answer")(b"")
        with pytest.raises(grpc.aio.AioRpcError, match="DEADLINE_EXCEEDED"):
            await channel.unary_unary("/Test/Answer")(b"", timeout=0.05)
        await until(lambda: waiting_calls() == 1)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        await until(lambda: waiting_calls() == 0)
        waiting = channel.unary_unary("/Test/Answer")(b"")
        servicer.go.set()
        assert await waiting == b"interactive"
        await asyncio.gather(*calls)
        assert servicer.begun == servicer.ended == FIRST + 1


@pytest.mark.parametrize(
    ("method", "asked", "lane"),
    [("Answer", "bulk", b"bulk"), ("Answer", "urgent", b"interactive"), ("Upload", "interactive", b"bulk")],
)
async def test_a_caller_may_ask_for_the_bulk_lane_only(method: str, asked: str, lane: bytes) -> None:
    async with served() as (servicer, channel):
        servicer.go.set()
        assert await channel.unary_unary(f"/Test/{method}")(b"", metadata=[(HEADER, asked)]) == lane


async def test_calls_on_behalf_of_a_bulk_call_are_bulk_too() -> None:
    async with served() as (servicer, channel):
        servicer.go.set()
        with lanes.bulk():
            assert await channel.unary_unary("/Test/Answer")(b"") == b"bulk"
        assert await channel.unary_unary("/Test/Answer")(b"") == b"interactive"
