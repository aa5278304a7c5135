"""Requests are decoded after the gates, with a bound on their fields, and large ones in a thread."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.struct_pb2 import ListValue, Struct
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from serving.decoding import MAX_FIELDS, SMALL_BYTES, count_fields
from serving.errors import InvalidField
from serving.gates import Call
from serving.interceptors import CallInterceptor
from serving.received_errors import from_status

DEADLINE = 20.0
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=30,
)
# An empty message in a list takes two bytes.
EMPTY = b"\x0a\x00"


class Requests:
    """Decodes lists, and records in which threads."""

    DESCRIPTOR = ListValue.DESCRIPTOR

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def decode(self, content: bytes) -> ListValue:
        self.threads.append(threading.current_thread())
        return ListValue.FromString(content)


class Closed:
    """A gate that refuses every call."""

    @asynccontextmanager
    async def enter(self, call: Call) -> AsyncIterator[None]:
        raise InvalidField("request", "is not let in.")
        yield

    def check(self, call: Call, request: Any) -> None:
        """Let every message pass."""


@asynccontextmanager
async def served(requests: Requests, *gates: Any) -> AsyncIterator[Any]:
    """Serve a method of each kind, which answers with the number of values in its requests."""

    async def count(request: ListValue, _: Any) -> bytes:
        return str(len(request.values)).encode()

    async def count_each(requests: AsyncIterator[ListValue], _: Any) -> bytes:
        return str([len(each.values) async for each in requests]).encode()

    async def stream(request: ListValue, _: Any) -> AsyncIterator[bytes]:
        yield str(len(request.values)).encode()

    server = grpc.aio.server(interceptors=[CallInterceptor({}, gates)])
    methods: dict[str, Any] = {
        "Count": grpc.unary_unary_rpc_method_handler(count, requests.decode),
        "CountEach": grpc.stream_unary_rpc_method_handler(count_each, requests.decode),
        "Stream": grpc.unary_stream_rpc_method_handler(stream, requests.decode),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", compression=grpc.Compression.Gzip, options=[("grpc.max_send_message_length", -1)]
        ) as channel:
            yield channel
    finally:
        await server.stop(0)


async def answer(channel: Any, method: str, content: bytes) -> Any:
    """Return a method's answer to a request."""
    match method:
        case "Count":
            return await channel.unary_unary("/Test/Count")(content, timeout=DEADLINE)
        case "CountEach":
            return await channel.stream_unary("/Test/CountEach")(iter([content]), timeout=DEADLINE)
    return b"".join([each async for each in channel.unary_stream("/Test/Stream")(content, timeout=DEADLINE)])


def fields_of(value: object) -> int:
    """Return how many fields `google.protobuf.Value` has on the wire for a value of JSON."""
    match value:
        case list():
            return 1 + sum(1 + fields_of(each) for each in value)
        case dict():
            return 1 + sum(3 + fields_of(each) for each in value.values())  # an entry, its key and its value
    return 1


@given(JSON)
def test_fields_are_counted_with_those_of_inner_messages(value: Any) -> None:
    message = Struct()
    message["value"] = value
    content = message.SerializeToString()
    fields = 3 + fields_of(value)
    assert count_fields(content, Struct.DESCRIPTOR, MAX_FIELDS) == fields
    assert count_fields(content, Struct.DESCRIPTOR, fields // 2) == fields // 2 + 1


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_can_be_counted(content: bytes) -> None:
    assert count_fields(content, Struct.DESCRIPTOR, 50) <= 51


@pytest.mark.parametrize("method", ["Count", "CountEach", "Stream"])
async def test_a_call_that_a_gate_refuses_is_not_decoded(method: str) -> None:
    requests = Requests()
    async with served(requests, Closed()) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="is not let in"):
            await answer(channel, method, EMPTY * 2_000_000)
    assert requests.threads == []


@pytest.mark.parametrize("method", ["Count", "CountEach", "Stream"])
async def test_a_message_of_too_many_fields_is_refused_before_it_is_decoded(method: str) -> None:
    requests = Requests()
    async with served(requests) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await answer(channel, method, EMPTY * (MAX_FIELDS + 1))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        status = rpc_status.from_call(refused.value)
        assert from_status(status)[0] == "INVALID_FIELD"
        assert f"more than {MAX_FIELDS:,} fields" in status.message
        assert requests.threads == []
        assert str(MAX_FIELDS) in (await answer(channel, method, EMPTY * MAX_FIELDS)).decode()


async def test_only_a_message_of_many_fields_is_decoded_in_a_thread() -> None:
    requests, long_text = Requests(), ListValue()
    long_text.values.add(string_value="x" * 3_000_000)
    async with served(requests) as channel:
        assert await answer(channel, "Count", EMPTY) == b"1"
        assert await answer(channel, "Count", long_text.SerializeToString()) == b"1"
        assert await answer(channel, "Count", EMPTY * SMALL_BYTES) == str(SMALL_BYTES).encode()
    assert [each is threading.main_thread() for each in requests.threads] == [True, True, False]


async def test_a_call_without_a_request_is_refused() -> None:
    async with served(Requests()) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="cannot be decoded: the call has none"):
            await channel.stream_unary("/Test/Count")(iter([]), timeout=DEADLINE)
