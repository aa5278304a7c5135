"""Run every gRPC call on the server inside `calls`.

To gRPC, each method has a stream of requests. So no request is read before its caller is known, and none is decoded
before all gates let its call pass. On the wire, that makes no difference.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

import grpc
import grpc.aio
from grpc_status import rpc_status
from typing_extensions import override

from serving.calls import CallFailed, Method
from serving.decoding import Decoder, OnlyRequest
from serving.early_refusal import EarlyRefusal
from serving.error_status import ErrorTable
from serving.gates import Call, Gate

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in the stubs only
# Machines poll it every second, which would drown the rest. It passes no gate, so it answers everyone.
_HEALTH = "grpc.health."


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every method of a server."""

    def __init__(self, errors: ErrorTable, gates: Sequence[Gate] = (), early: EarlyRefusal | None = None) -> None:
        self._errors = errors
        self._gates = gates
        self._early = early
        self._wrapped: dict[str, tuple[Method, Handler]] = {}

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, wrapped; each is wrapped once."""
        wrapped = self._wrapped.get(handler_call_details.method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            service, _, name = handler_call_details.method.lstrip("/").partition("/")
            if handler is None or service.startswith(_HEALTH):
                return handler
            is_stream = handler.request_streaming or handler.response_streaming
            method = Method(service, name, self._errors, self._gates, is_stream=is_stream)
            wrapped = self._wrapped[handler_call_details.method] = method, _wrap(handler, method)
        method, usual = wrapped
        if self._early is None:
            return usual
        return await self._early.of(method, _texts(handler_call_details.invocation_metadata)) or usual


def _wrap(handler: Handler, method: Method) -> Handler:
    decoder = Decoder(handler.request_deserializer)

    @asynccontextmanager
    async def called(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        """Take a call through the gates, and yield its request or its stream of requests."""
        call = _call(method, context)
        only = None if handler.request_streaming else OnlyRequest(decoder, context)
        async with method.call(call, only.arrive if only else None):
            yield method.checked(call, await only.decoded() if only else decoder.each(requests))

    if handler.response_streaming:
        inner_stream: Callable[[Any, Context], AsyncGenerator[Any, None]] = (
            handler.stream_stream if handler.request_streaming else handler.unary_stream  # type: ignore[assignment]
        )

        # Not a generator: gRPC leaves a cancelled one to the garbage collector.
        async def write(requests: AsyncIterator[bytes], context: Context) -> None:
            async with (
                called(requests, context) as request,
                aclosing(inner_stream(request, context)) as responses,
            ):
                async for response in responses:
                    await context.write(response)

        async def stream(requests: AsyncIterator[bytes], context: Context) -> None:
            await _answer(write(requests, context), context)

        return grpc.stream_stream_rpc_method_handler(stream, None, handler.response_serializer)

    inner: Callable[[Any, Context], Awaitable[Any]] = (
        handler.stream_unary if handler.request_streaming else handler.unary_unary  # type: ignore[assignment]
    )

    async def respond(requests: AsyncIterator[bytes], context: Context) -> Any:
        async with called(requests, context) as request:
            return await inner(request, context)

    async def unary(requests: AsyncIterator[bytes], context: Context) -> Any:
        return await _answer(respond(requests, context), context)

    return grpc.stream_unary_rpc_method_handler(unary, None, handler.response_serializer)


def _call(method: Method, context: Context) -> Call:
    return Call(
        service=method.service,
        method=method.method,
        metadata=_texts(context.invocation_metadata()),
        peer=context.peer(),
        seconds=context.time_remaining(),
        is_stream=method.is_stream,
    )


def _texts(metadata: Any) -> dict[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}


async def _answer(work: Coroutine[Any, Any, Any], context: Context) -> Any:
    """Run a call's work and return its response, or end the call with its status."""
    try:
        return await work
    except CallFailed as failed:
        status = rpc_status.to_status(failed.status)
    # Not in `except`: gRPC and the error of `abort` refer to each other, and to all that was in progress when that was
    # raised. A request among it would stay in memory until Python looks for cycles.
    return await context.abort_with_status(status)
