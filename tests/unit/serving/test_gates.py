"""Gates in front of methods, over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from serving.errors import InvalidField
from serving.gates import Call
from serving.interceptors import CallInterceptor


class Guard:
    """Records what passes; refuses a call or a message if so asked."""

    def __init__(self, name: str, seen: list[str], refuse: str = "") -> None:
        self._name = name
        self._seen = seen
        self._refuse = refuse

    @asynccontextmanager
    async def enter(self, call: Call) -> AsyncIterator[None]:
        self._note(f"enter {call.service}/{call.method} {call.metadata['who']} {call.peer.partition(':')[0]}")
        try:
            yield
        finally:
            self._note("leave")

    def check(self, call: Call, request: Any) -> None:
        self._note(f"check {request.decode()}")

    def _note(self, event: str) -> None:
        self._seen.append(f"{self._name}: {event}")
        if self._refuse and event.startswith(self._refuse):
            raise InvalidField("request", f"refused by {self._name}.")


@asynccontextmanager
async def served(seen: list[str], *guards: Guard) -> AsyncIterator[Any]:
    async def answer(requests: AsyncIterator[bytes], context: Any) -> bytes:
        async for request in requests:
            seen.append(f"method: {request.decode()}")  # noqa: PERF401 — each as it comes, also if a later one fails
        return b"done"

    server = grpc.aio.server(interceptors=[CallInterceptor({}, guards)])
    handler = grpc.stream_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", {"Answer": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel.stream_unary("/Test/Answer")
    finally:
        await server.stop(0)


async def test_a_call_and_each_message_pass_the_gates_in_order() -> None:
    seen: list[str] = []
    async with served(seen, Guard("outer", seen), Guard("inner", seen)) as call:
        assert await call(iter([b"1", b"2"]), metadata=[("who", "me")]) == b"done"
    assert seen == [
        "outer: enter Test/Answer me ipv4",
        "inner: enter Test/Answer me ipv4",
        *("outer: check 1", "inner: check 1", "method: 1"),
        *("outer: check 2", "inner: check 2", "method: 2"),
        "inner: leave",
        "outer: leave",
    ]


@pytest.mark.parametrize(("refuse", "reached"), [("enter", []), ("check 2", ["method: 1"])])
async def test_a_refused_call_reaches_nothing_behind_the_gate(refuse: str, reached: list[str]) -> None:
    seen: list[str] = []
    async with served(seen, Guard("outer", seen, refuse), Guard("inner", seen)) as call:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(iter([b"1", b"2", b"3"]), metadata=[("who", "me")])
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "refused by outer" in (error.value.details() or "")
    assert [event for event in seen if event.startswith("method")] == reached
    assert ("inner: leave" in seen) == bool(reached)
