"""Channels to other services. Every call carries the trace id and a deadline, capped by that of the current call.

Both are set on the call itself. A client interceptor could add them, but would cost one more task per call.

gRPC itself retries UNAVAILABLE with backoff, but only before the first response. Round robin over the addresses of a
DNS name spreads calls over replicas.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
from typing_extensions import override

from serving import deadlines, tracing

DEFAULT_DEADLINE_SECONDS = 30.0
_BALANCING: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
_RETRYING: dict[str, object] = {
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


def open_channel(target: str, *, max_message_bytes: int, retry: bool = True) -> grpc.aio.Channel:
    """Open a channel to `target`, for example "127.0.0.1:50052" or "dns:///embedder:50052".

    Without `retry`, a call that may have arrived is not repeated.
    """
    channel = grpc.aio.insecure_channel(
        target,
        options=[
            ("grpc.service_config", json.dumps(_BALANCING | _RETRYING if retry else _BALANCING)),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.keepalive_time_ms", 30_000),
            # Reconnect to a restarted service within a second.
            ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.initial_reconnect_backoff_ms", 100),
        ],
    )
    return _Channel(channel)


def _in_context(call: Any) -> Callable[..., Any]:
    """Return a method of a channel that adds the deadline and the trace id of the current call."""

    def start(*request: Any, timeout: float | None = None, metadata: Any = (), **options: Any) -> Any:
        return call(
            *request,
            timeout=deadlines.cap(DEFAULT_DEADLINE_SECONDS if timeout is None else timeout),
            metadata=(*(metadata or ()), (tracing.HEADER, tracing.traceparent())),
            **options,
        )

    return start


class _Channel(grpc.aio.Channel):
    """A channel whose calls run in the context of the current call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    @override
    def unary_unary(self, *method: Any, **options: Any) -> Any:
        return _in_context(self._channel.unary_unary(*method, **options))

    @override
    def unary_stream(self, *method: Any, **options: Any) -> Any:
        return _in_context(self._channel.unary_stream(*method, **options))

    @override
    def stream_unary(self, *method: Any, **options: Any) -> Any:
        return _in_context(self._channel.stream_unary(*method, **options))

    @override
    def stream_stream(self, *method: Any, **options: Any) -> Any:
        return _in_context(self._channel.stream_stream(*method, **options))

    @override
    async def __aenter__(self) -> _Channel:
        await self._channel.__aenter__()
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._channel.__aexit__(kind, error, traceback)

    @override
    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    @override
    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    @override
    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    @override
    async def channel_ready(self) -> None:
        await self._channel.channel_ready()
