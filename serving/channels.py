"""Channels to other services: every call has a deadline, at most that of the call it is made for, and the trace id.

UNAVAILABLE is retried by gRPC itself, with backoff, only where nothing was answered yet; round robin over the addresses
of a DNS name spreads calls over replicas.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

import grpc.aio

from serving import deadlines, tracing

DEFAULT_DEADLINE_SECONDS = 30.0
_SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
    }
)


def open_channel(target: str, *, max_message_bytes: int) -> grpc.aio.Channel:
    """Opens a channel to `target`, for example "127.0.0.1:50052" or "dns:///embedder:50052"."""
    return grpc.aio.insecure_channel(
        target,
        options=[
            ("grpc.service_config", _SERVICE_CONFIG),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.keepalive_time_ms", 30_000),
            # A service that was restarted is found again within a second.
            ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.initial_reconnect_backoff_ms", 100),
        ],
        interceptors=[_UnaryUnary(), _UnaryStream(), _StreamUnary(), _StreamStream()],
    )


def remaining_seconds(context: grpc.aio.ServicerContext[Any, Any]) -> float:
    """Returns how long calls made for this one may take: what is left of its deadline, or the default."""
    left: float | None = context.time_remaining()
    return DEFAULT_DEADLINE_SECONDS if left is None else max(left, 0.0)


def _complete(details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
    metadata = details.metadata if details.metadata is not None else grpc.aio.Metadata()
    metadata.add(tracing.HEADER, tracing.traceparent())
    timeout = deadlines.cap(DEFAULT_DEADLINE_SECONDS if details.timeout is None else details.timeout)
    return grpc.aio.ClientCallDetails(details.method, timeout, metadata, details.credentials, details.wait_for_ready)


Continuation = Callable[[grpc.aio.ClientCallDetails, Any], Any]


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Continuation, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(_complete(client_call_details), request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Continuation, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(_complete(client_call_details), request)


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self,
        continuation: Continuation,
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: AsyncIterable[Any] | Iterable[Any],
    ) -> Any:
        return await continuation(_complete(client_call_details), request_iterator)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self,
        continuation: Continuation,
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: AsyncIterable[Any] | Iterable[Any],
    ) -> Any:
        return await continuation(_complete(client_call_details), request_iterator)
