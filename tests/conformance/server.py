"""The conformance service of the Connect protocol behind the gateway's HTTP, as `connectconformance` wants it.

`make conformance` runs it, with the path of a file that has the descriptors of the service: its protos come with
`connectconformance`. One thing is not the product's: errors are passed on as the test case words them, instead of
through a table.
"""

# ruff: noqa: N802 — methods are named as the proto names them

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import structlog
from connectrpc.request import RequestContext
from google.protobuf import any_pb2, descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, status_pb2
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.web.rpcs import Rpcs
from serving import calls
from serving.http_server import HttpServer, bind

PACKAGE = "connectrpc.conformance.v1"
DEFAULT_MAX_BYTES = 64 * 2**20
_query: ContextVar[bytes] = ContextVar("query")

Context = RequestContext[Any, Any]


def load(descriptors: Path) -> None:
    """Add the protos of the conformance service to those that are known."""
    pool = descriptor_pool.Default()
    for file in FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        try:
            pool.FindFileByName(file.name)
        except KeyError:
            pool.Add(file)


def message(name: str) -> Any:
    """Return the class of a message."""
    return GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(f"{PACKAGE}.{name}"))


class Failed(Exception):
    """The error that a test case asks for."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


class ConformanceServicer:
    """Does what the request says; see the comments of service.proto."""

    async def Unary(self, request: Any, context: Context) -> Any:
        return message("UnaryResponse")(payload=await _one(request.response_definition, [request], context))

    async def IdempotentUnary(self, request: Any, context: Context) -> Any:
        return message("IdempotentUnaryResponse")(payload=await _one(request.response_definition, [request], context))

    async def ClientStream(self, requests: AsyncIterator[Any], context: Context) -> Any:
        received = [request async for request in requests]
        wanted = received[0].response_definition if received else message("UnaryResponseDefinition")()
        return message("ClientStreamResponse")(payload=await _one(wanted, received, context))

    async def ServerStream(self, request: Any, context: Context) -> AsyncIterator[Any]:
        async for payload in _several(request.response_definition, [request], context):
            yield message("ServerStreamResponse")(payload=payload)

    async def BidiStream(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        received = [request async for request in requests]
        wanted = received[0].response_definition if received else message("StreamResponseDefinition")()
        async for payload in _several(wanted, received, context):
            yield message("BidiStreamResponse")(payload=payload)

    async def Unimplemented(self, request: Any, context: Context) -> Any:
        raise Failed(status_pb2.Status(code=code_pb2.UNIMPLEMENTED, message="not implemented"))


async def _one(wanted: Any, received: Sequence[Message], context: Context) -> Any:
    _add_metadata(wanted, context)
    await asyncio.sleep(wanted.response_delay_ms / 1000)
    info = _request_info(received, context)
    if wanted.HasField("error"):
        raise _error(wanted.error, [info])
    return message("ConformancePayload")(data=wanted.response_data, request_info=info)


async def _several(wanted: Any, received: Sequence[Message], context: Context) -> AsyncIterator[Any]:
    _add_metadata(wanted, context)
    info = _request_info(received, context)
    for number, data in enumerate(wanted.response_data):
        await asyncio.sleep(wanted.response_delay_ms / 1000)
        yield message("ConformancePayload")(data=data, request_info=info if number == 0 else None)
    if wanted.HasField("error"):
        raise _error(wanted.error, [] if wanted.response_data else [info])


def _add_metadata(wanted: Any, context: Context) -> None:
    for headers, into in (
        (wanted.response_headers, context.response_headers),
        (wanted.response_trailers, context.response_trailers),
    ):
        for header in headers:
            for value in header.value:
                into.add(header.name, value)


def _request_info(received: Sequence[Message], context: Context) -> Any:
    packed = []
    for request in received:
        packed.append(any_pb2.Any())
        packed[-1].Pack(request)
    info = message("ConformancePayload.RequestInfo")(
        requests=packed, request_headers=_headers(context.request_headers.allitems())
    )
    if context.timeout_ms is not None:
        info.timeout_ms = int(context.timeout_ms)
    if context.http_method == "GET":
        info.connect_get_info.query_params.extend(_headers(parse_qsl(_query.get().decode(), keep_blank_values=True)))
    return info


def _headers(items: Iterable[tuple[str, str]]) -> list[Any]:
    values: dict[str, list[str]] = {}
    for name, value in items:
        values.setdefault(name, []).append(value)
    return [message("Header")(name=name, value=each) for name, each in values.items()]


def _error(error: Any, more: Sequence[Message]) -> Failed:
    status = status_pb2.Status(code=error.code, message=error.message, details=error.details)
    for detail in more:
        status.details.add().Pack(detail)
    return Failed(status)


def _to_status(error: BaseException, _: object) -> status_pb2.Status:
    if isinstance(error, Failed):
        return error.status
    return status_pb2.Status(code=code_pb2.INTERNAL, message=str(error))


def _with_query(app: ASGIApp) -> ASGIApp:
    async def remembering(scope: Scope, receive: Receive, send: Send) -> None:
        _query.set(scope["query_string"])
        await app(scope, receive, send)

    return remembering


async def main() -> None:
    """Read the request for a server from stdin, serve, and say where on stdout."""
    # The answer below is all that may be written to stdout.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    load(Path(sys.argv[1]))
    service = descriptor_pool.Default().FindServiceByName(f"{PACKAGE}.ConformanceService")
    size = int.from_bytes(sys.stdin.buffer.read(4), "big")
    request = message("ServerCompatRequest").FromString(sys.stdin.buffer.read(size))
    calls.to_status = _to_status  # type: ignore[assignment]
    rpcs = Rpcs({service: ConformanceServicer()}, {}, request.message_receive_limit or DEFAULT_MAX_BYTES)
    listening = bind("127.0.0.1", 0, shares_port=False)
    answer = message("ServerCompatResponse")(host="127.0.0.1", port=listening.getsockname()[1])
    sys.stdout.buffer.write(answer.ByteSize().to_bytes(4, "big") + answer.SerializeToString())
    sys.stdout.buffer.flush()
    await HttpServer(listening, _with_query(rpcs)).serve()


if __name__ == "__main__":
    asyncio.run(main())
