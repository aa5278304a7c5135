"""Offer gRPC servicers over HTTP: the Connect protocol and gRPC-Web, made from the services' descriptors.

`connectrpc` speaks the protocols. Here it gets an endpoint for each method, which calls the same servicer as gRPC does,
and inside the same wrapper (serving/calls.py). So errors have the same codes, messages and details.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.datastructures import MutableHeaders
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from gateway.web.codecs import CODECS, GZIP, Encoded, Received
from gateway.web.failures import connect_error, retry_after
from gateway.web.grpc_web_text import GrpcWebText
from gateway.web.messages import Messages
from gateway.web.refusals import refusal
from serving.byte_budget import TooManyBytes
from serving.calls import CallFailed, Method
from serving.error_status import ErrorTable
from serving.errors import to_status
from serving.gates import Call, Gate

Context = RequestContext[Any, Any]

_STREAM_TYPES = {
    (False, False): StreamType.UNARY,
    (True, False): StreamType.CLIENT_STREAM,
    (False, True): StreamType.SERVER_STREAM,
    (True, True): StreamType.BIDI_STREAM,
}
_IDEMPOTENCY = {
    MethodOptions.IDEMPOTENCY_UNKNOWN: IdempotencyLevel.UNKNOWN,
    MethodOptions.NO_SIDE_EFFECTS: IdempotencyLevel.NO_SIDE_EFFECTS,
    MethodOptions.IDEMPOTENT: IdempotencyLevel.IDEMPOTENT,
}


class Rpcs:
    """The ASGI application of all methods; `/<service>/<method>` is the path of each."""

    def __init__(
        self,
        servicers: Mapping[ServiceDescriptor, object],
        errors: ErrorTable,
        max_message_bytes: int,
        gates: Sequence[Gate] = (),
    ) -> None:
        endpoints: dict[str, Any] = {}
        messages = Messages()
        self._streams: dict[str, bool] = {}
        for service, servicer in servicers.items():
            for method in service.methods:
                path = f"/{service.full_name}/{method.name}"
                is_stream = self._streams[path] = method.client_streaming or method.server_streaming
                calls = Method(service.full_name, method.name, errors, gates, is_stream=is_stream)
                endpoints[path] = _endpoint(method, getattr(servicer, method.name), calls, messages)
        self._app = GrpcWebText(_Connect(endpoints, max_message_bytes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        answer = refusal(scope, self._streams) or self._app
        body = _Body(receive, send)
        await answer(scope, body.receive, body.send)


class _Body:
    """A request's channels, which explain in the terms of `connectrpc` why a body is not taken."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._more_headers: dict[str, str] = {}

    async def receive(self) -> MutableMapping[str, Any]:
        try:
            return await self._receive()
        except TooManyBytes as error:
            status = to_status(error, {})
            self._more_headers = retry_after(status)
            raise connect_error(status) from None

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(self._more_headers)
        await self._send(message)


class _Connect(ConnectASGIApplication[None]):
    def __init__(self, endpoints: Mapping[str, Any], max_message_bytes: int) -> None:
        super().__init__(
            service=None,
            endpoints=lambda _: endpoints,
            read_max_bytes=max_message_bytes,
            compressions=[GZIP],
            codecs=CODECS,
        )

    @property
    @override
    def path(self) -> str:
        return "/"


def _endpoint(
    descriptor: MethodDescriptor, inner: Callable[..., Any], method: Method, messages: Messages
) -> Endpoint[Any, Any]:
    """Return the endpoint of a method; its servicer gets the context of `connectrpc` in place of gRPC's."""
    stream_type = _STREAM_TYPES[descriptor.client_streaming, descriptor.server_streaming]
    info: MethodInfo[Any, Any] = MethodInfo(
        name=descriptor.name,
        service_name=descriptor.containing_service.full_name,
        input=GetMessageClass(descriptor.input_type),
        output=GetMessageClass(descriptor.output_type),
        idempotency_level=_IDEMPOTENCY[descriptor.GetOptions().idempotency_level],
        stream_type=stream_type,
    )

    # A request is read after the gates let its call pass: whoever may not call, or comes too early, costs no more.
    async def answer(received: Any, context: Context) -> Message | Encoded:
        call = _call(method, context)
        async with _answered(method, call, context):
            request = await _read(messages, received)
            return await write(await inner(method.checked(call, request), context), received, context)

    async def stream(received: Any, context: Context) -> AsyncIterator[Message | Encoded]:
        call = _call(method, context)
        async with _answered(method, call, context):
            request = await _read(messages, received)
            async with aclosing(inner(method.checked(call, request), context)) as responses:
                async for response in responses:
                    yield await write(response, received, context)

    async def write(response: Message, received: Any, context: Context) -> Message | Encoded:
        if not isinstance(received, Received):
            return response  # of a stream of requests, whose responses are small
        zips = _accepts_gzip(context.request_headers, is_stream=method.is_stream)
        return await messages.write(response, received.codec, zips=zips)

    match stream_type:
        case StreamType.UNARY:
            return Endpoint.unary(info, answer)
        case StreamType.CLIENT_STREAM:
            return Endpoint.client_stream(info, answer)
        case StreamType.SERVER_STREAM:
            return Endpoint.server_stream(info, stream)
        case StreamType.BIDI_STREAM:
            return Endpoint.bidi_stream(info, stream)


async def _read(messages: Messages, received: Any) -> Any:
    """Return a request, or the requests of a stream; raises what `Messages.read` raises."""
    return await messages.read(received) if isinstance(received, Received) else messages.read_each(received)


def _accepts_gzip(headers: Mapping[str, str], *, is_stream: bool) -> bool:
    """Return whether `connectrpc` will compress the response."""
    name = "connect-accept-encoding" if is_stream else "accept-encoding"
    if headers.get("content-type", "").startswith("application/grpc"):
        name = "grpc-accept-encoding"
    return GZIP.name() in (each.strip() for each in headers.get(name, "").split(","))


def _call(method: Method, context: Context) -> Call:
    left = context.timeout_ms
    return Call(
        service=method.service,
        method=method.method,
        metadata=dict(context.request_headers),
        peer=context.client_address or "",
        seconds=None if left is None else left / 1000,
        is_stream=method.is_stream,
    )


@asynccontextmanager
async def _answered(method: Method, call: Call, context: Context) -> AsyncIterator[None]:
    """Run a call, and end it with its status if it fails."""
    try:
        async with method.call(call):
            yield
    except CallFailed as failed:
        if not method.is_stream:  # whose head may be sent, and says nothing about its end
            context.response_headers.update(retry_after(failed.status))
        raise connect_error(failed.status) from None
