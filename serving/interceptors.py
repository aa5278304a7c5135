"""Wrap every call on the server with a trace id, metrics and the translation of errors.

The broad `except` is here: whatever a servicer raises becomes a status with details (serving/errors.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

import grpc
import grpc.aio
import structlog
from google.rpc import status_pb2
from grpc_status import rpc_status
from typing_extensions import override

from serving import deadlines, metrics, tracing
from serving.decoding import checked, tolerant
from serving.errors import ErrorTable, to_status

log = structlog.get_logger(__name__)

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
            wrapped = self._wrapped[handler_call_details.method] = _wrap(
                handler, _Method(service, method, self._errors)
            )
        return wrapped


def _wrap(handler: Handler, method: _Method) -> Handler:
    if handler.response_streaming:
        inner_stream: Callable[[Any, Context], AsyncGenerator[Any, None]] = (
            handler.stream_stream if handler.request_streaming else handler.unary_stream  # type: ignore[assignment]
        )

        # Not a generator: gRPC leaves a cancelled one to the garbage collector.
        async def stream(request: Any, context: Context) -> None:
            async with method.around(context), aclosing(inner_stream(checked(request), context)) as responses:
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
        async with method.around(context):
            return await inner(checked(request), context)

    make_unary = (
        grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
    )
    return make_unary(unary, tolerant(handler.request_deserializer), handler.response_serializer)


class _Method:
    """One method's labels, metrics and error table."""

    def __init__(self, service: str, method: str, errors: ErrorTable) -> None:
        self._labels = (service, method)
        self._in_flight = metrics.IN_FLIGHT.labels(service, method)
        self._seconds = metrics.SECONDS.labels(service, method)
        self._errors = errors

    @asynccontextmanager
    async def around(self, context: Context) -> AsyncIterator[None]:
        """Count and time a call, and turn its exceptions into a status."""
        metadata = context.invocation_metadata() or ()
        trace_id = tracing.begin(next((str(value) for key, value in metadata if key == tracing.HEADER), None))
        deadlines.begin(context.time_remaining())
        structlog.contextvars.bind_contextvars(trace_id=trace_id)
        start = time.perf_counter()
        code = grpc.StatusCode.OK
        self._in_flight.inc()
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            code = grpc.StatusCode.CANCELLED
            raise
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 — the boundary: see the module's docstring
            status = to_status(error, self._errors)
            code = _code(status)
            await context.abort_with_status(rpc_status.to_status(status))
        finally:
            self._in_flight.dec()
            metrics.HANDLED.labels(*self._labels, code.name).inc()
            seconds = time.perf_counter() - start
            self._seconds.observe(seconds)
            log.debug("call", method="/".join(self._labels), code=code.name, seconds=round(seconds, 6))


_CODES = {code.value[0]: code for code in grpc.StatusCode}


def _code(status: status_pb2.Status) -> grpc.StatusCode:
    return _CODES[status.code]
