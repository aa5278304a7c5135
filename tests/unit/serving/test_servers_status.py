"""Calls that the server ends while requests are on their way: the client and the suite each have a copy of the cure."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from semsearch.transport import servers_status as of_the_client

from serving import servers_status as of_the_suite
from serving.received_errors import STATUS_LOST
from tests.method_server import serving_methods

CALLS = 100
PART = b"x" * 65_536
COPIES = pytest.mark.parametrize("copy", [of_the_client, of_the_suite], ids=["client", "suite"])
Cure = Callable[[Any], AbstractAsyncContextManager[None]]


@contextmanager
def serving(code: grpc.StatusCode) -> Iterator[str]:
    """Serve methods that end after the first request, with a status."""

    def end(requests: Iterator[bytes], context: grpc.ServicerContext) -> None:
        next(requests)
        if code is not grpc.StatusCode.OK:
            context.abort(code, "It is so.")

    def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        end(requests, context)
        yield b""

    def unary(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        end(requests, context)
        return b""

    handlers = {
        "stream_stream": grpc.stream_stream_rpc_method_handler(stream),
        "stream_unary": grpc.stream_unary_rpc_method_handler(unary),
    }
    with serving_methods("test.Service", handlers) as address:
        yield address


async def end_of(call: Any, kind: str, cure: Cure) -> tuple[grpc.StatusCode, str]:
    try:
        async with cure(call):
            if kind == "stream_stream":
                async for _ in call:
                    pass
            else:
                await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    finally:
        call.cancel()
    return grpc.StatusCode.OK, ""


async def parts() -> AsyncIterator[bytes]:
    for _ in range(32):
        yield PART


@COPIES
@pytest.mark.parametrize("kind", ["stream_stream", "stream_unary"])
@pytest.mark.parametrize("code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OK], ids=lambda code: code.name)
async def test_a_call_ends_with_the_servers_own_status(copy: Any, kind: str, code: grpc.StatusCode) -> None:
    with serving(code) as address:
        async with grpc.aio.insecure_channel(address) as channel:
            method = getattr(channel, kind)(f"/test.Service/{kind}")
            ends = Counter([await end_of(method(parts()), kind, copy.servers_status) for _ in range(CALLS)])
    assert ends == {(code, "" if code is grpc.StatusCode.OK else "It is so."): CALLS}


class LostCall:
    """A call whose server sends no status."""

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        pass


@COPIES
async def test_a_status_that_never_comes_is_not_waited_for_long(copy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "_WAIT_SECONDS", 0.01)
    nothing = grpc.aio.Metadata()
    lost = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, nothing, nothing, details=STATUS_LOST)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with copy.servers_status(LostCall()):
            raise lost
    assert caught.value is lost
