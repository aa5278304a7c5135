"""Run every gRPC call on the server inside `calls`, and decode its requests (`decoding`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

import grpc
import grpc.aio
from grpc_status import rpc_status
from typing_extensions import override

from serving import tracing
from serving.calls import CallFailed, Method
from serving.decoding import checked, tolerant
from serving.errors import ErrorTable

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in the stubs only
# Machines poll health and reflection every second, which would drown the rest.
UNMEASURED = ("grpc.health.", "grpc.reflection.")


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every method of a server."""

    def __init__(self, errors: ErrorTable) -> None:
        self._errors = errors
        self._wrapped: dict[str, Handler] = {}

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, wrapped; each is wrapped once."""
        handler = await continuation(handler_call_details)
        service, _, method = handler_call_details.method.lstrip("/").partition("/")
        if handler is None or service.startswith(UNMEASURED):
            return handler
        wrapped = self._wrapped.get(handler_call_details.method)
        if wrapped is None:
            wrapped = self._wrapped[handler_call_details.method] = _wrap(handler, Method(service, method, self._errors))
        return wrapped


def _wrap(handler: Handler, method: Method) -> Handler:
    if handler.response_streaming:
        inner_stream: Callable[[Any, Context], AsyncGenerator[Any, None]] = (
            handler.stream_stream if handler.request_streaming else handler.unary_stream  # type: ignore[assignment]
        )

        # Not a generator: gRPC leaves a cancelled one to the garbage collector.
        async def stream(request: Any, context: Context) -> None:
            async with _answered(method, context), aclosing(inner_stream(checked(request), context)) as responses:
                async for response in responses:
                    await context.write(response)

        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        return make(stream, tolerant(handler.request_deserializer), handler.response_serializer)

    inner: Callable[[Any, Context], Awaitable[Any]] = (
        handler.stream_unary if handler.request_streaming else handler.unary_unary  # type: ignore[assignment]
    )

    async def unary(request: Any, context: Context) -> Any:
        async with _answered(method, context):
            return await inner(checked(request), context)

    make_unary = (
        grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
    )
    return make_unary(unary, tolerant(handler.request_deserializer), handler.response_serializer)


@asynccontextmanager
async def _answered(method: Method, context: Context) -> AsyncIterator[None]:
    """Run a call, and end it with its status if it fails."""
    metadata = context.invocation_metadata() or ()
    traceparent = next((str(value) for key, value in metadata if key == tracing.HEADER), None)
    try:
        async with method.call(traceparent, context.time_remaining()):
            yield
    except CallFailed as failed:
        await context.abort_with_status(rpc_status.to_status(failed.status))
