"""Offer gRPC servicers over HTTP: the Connect protocol and gRPC-Web, made from the services' descriptors.

`connectrpc` speaks the protocols. What it gets here is one endpoint for each method, which calls the same servicer as
gRPC does, with what every call has (serving/calls.py). So errors have the same codes, messages and details.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from protobuf.wkt import Any as AnyDetail
from typing_extensions import override

from gateway.web.codecs import CODECS
from serving import tracing
from serving.calls import CallFailed, Method
from serving.decoding import checked
from serving.errors import ErrorTable

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


class RpcApplication(ConnectASGIApplication[object]):
    """The ASGI application of one service."""

    def __init__(
        self, descriptor: ServiceDescriptor, servicer: object, errors: ErrorTable, max_message_bytes: int
    ) -> None:
        super().__init__(
            service=servicer,
            endpoints=lambda served: _endpoints(descriptor, served, errors),
            read_max_bytes=max_message_bytes,
            codecs=CODECS,
        )
        self._path = f"/{descriptor.full_name}"

    @property
    @override
    def path(self) -> str:
        """The path below which the methods lie."""
        return self._path


def _endpoints(descriptor: ServiceDescriptor, servicer: object, errors: ErrorTable) -> Mapping[str, Any]:
    return {
        f"/{descriptor.full_name}/{method.name}": _endpoint(
            method, getattr(servicer, method.name), Method(descriptor.full_name, method.name, errors)
        )
        for method in descriptor.methods
    }


def _endpoint(descriptor: MethodDescriptor, inner: Callable[..., Any], method: Method) -> Endpoint[Any, Any]:
    """Return the endpoint of a method. Servicers use nothing of gRPC's context, so they get none."""
    stream_type = _STREAM_TYPES[descriptor.client_streaming, descriptor.server_streaming]
    info: MethodInfo[Any, Any] = MethodInfo(
        name=descriptor.name,
        service_name=descriptor.containing_service.full_name,
        input=GetMessageClass(descriptor.input_type),
        output=GetMessageClass(descriptor.output_type),
        idempotency_level=_IDEMPOTENCY[descriptor.GetOptions().idempotency_level],
        stream_type=stream_type,
    )

    async def answer(request: Any, context: Context) -> Any:
        async with _answered(method, context):
            answering: Awaitable[Message] = inner(checked(request), None)
            return await answering

    async def stream(request: Any, context: Context) -> AsyncIterator[Message]:
        async with _answered(method, context), aclosing(inner(checked(request), None)) as responses:
            async for response in responses:
                yield response

    match stream_type:
        case StreamType.UNARY:
            return Endpoint.unary(info, answer)
        case StreamType.CLIENT_STREAM:
            return Endpoint.client_stream(info, answer)
        case StreamType.SERVER_STREAM:
            return Endpoint.server_stream(info, stream)
        case StreamType.BIDI_STREAM:
            return Endpoint.bidi_stream(info, stream)


@asynccontextmanager
async def _answered(method: Method, context: Context) -> AsyncIterator[None]:
    """Run a call, and end it with its status if it fails."""
    left = context.timeout_ms
    try:
        async with method.call(context.request_headers.get(tracing.HEADER), None if left is None else left / 1000):
            yield
    except CallFailed as failed:
        raise connect_error(failed.status) from None


def connect_error(status: status_pb2.Status) -> ConnectError:
    """Return a status as an error of the Connect protocol."""
    return ConnectError(
        _CODES[status.code],
        status.message,
        [ErrorDetail(AnyDetail(type_url=detail.type_url, value=detail.value)) for detail in status.details],
    )


# gRPC's numbers; Connect writes the names in lower case, and one of them in American English.
_CODES = dict(
    enumerate(
        (
            Code.CANCELED,
            Code.UNKNOWN,
            Code.INVALID_ARGUMENT,
            Code.DEADLINE_EXCEEDED,
            Code.NOT_FOUND,
            Code.ALREADY_EXISTS,
            Code.PERMISSION_DENIED,
            Code.RESOURCE_EXHAUSTED,
            Code.FAILED_PRECONDITION,
            Code.ABORTED,
            Code.OUT_OF_RANGE,
            Code.UNIMPLEMENTED,
            Code.INTERNAL,
            Code.UNAVAILABLE,
            Code.DATA_LOSS,
            Code.UNAUTHENTICATED,
        ),
        start=1,
    )
)
