"""Channels to other services. Every call carries trace id, lane and a deadline, capped by that of the current call.

They are set on the call itself. A client interceptor could add them, but would cost one more task per call. A call on
behalf of a recorded one is a span of its trace.

gRPC spreads calls over all addresses of a target, in turn. With `health_service`, only servers that report that
service as SERVING (grpc.health.v1) get calls, and one whose calls fail is left out for a while. gRPC looks a name up
again when a connection ends; our servers end connections after a time (see `serving.server`), so servers that are added
get calls.

gRPC itself retries UNAVAILABLE, and CANCELLED from a server, with backoff, but only before the first response. Most of
the time that means another server. A budget bounds it: 50 retries in a row, then one for each ten calls that succeed.
A call on behalf of one that is itself repeated is made once (`attempts`), so retries of several hops do not multiply.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import grpc.aio
from typing_extensions import override

from serving import attempts, deadlines, lanes, tracing
from serving.patience import Patience
from serving.received_errors import is_end_of_server
from serving.renewed_channel import RenewedChannel
from serving.tls import CertificateFiles, Certificates
from serving.tracing import Kind, Span
from serving.wrapped_channel import WrappedChannel

DEFAULT_DEADLINE_SECONDS = 30.0
# Also of a TLS handshake, with a server that is busy.
_CONNECT_SECONDS = 5.0
_ROUND_ROBIN: list[dict[str, object]] = [{"round_robin": {}}]
# A server is left out for 10 s, then 20 s and so on, if more than half of its calls failed within 5 s; never more than
# half of the servers, so that calls that fail everywhere stop none.
_LEAVING_OUT: dict[str, object] = {
    "interval": "5s",
    "baseEjectionTime": "10s",
    "maxEjectionTime": "60s",
    "maxEjectionPercent": 50,
    "failurePercentageEjection": {
        "threshold": 50,
        "enforcementPercentage": 100,
        "minimumHosts": 2,
        "requestVolume": 10,
    },
    "childPolicy": _ROUND_ROBIN,
}
# The last step of calls' spans, held here because the loop does not hold tasks.
_endings: set[asyncio.Task[None]] = set()
_RETRYING: dict[str, object] = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                # CANCELLED: gRPC's servers end calls with it that arrive while they shut down.
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}


Metadata = tuple[tuple[str, str], ...]


def no_metadata() -> Metadata:
    """Return none."""
    return ()


@dataclass(frozen=True)
class Channels:
    """Opens channels with the limits and the certificates of this process; without certificates, they are plaintext.

    `server_name` is the name that is expected in the certificates of all servers, "" for the host of each target.
    `identity` returns the metadata that says on whose behalf the current call is made.
    """

    max_message_bytes: int
    certificates: CertificateFiles | None = None
    server_name: str = ""
    identity: Callable[[], Metadata] = no_metadata

    def open(
        self,
        target: str,
        *,
        retry: bool = True,
        health_service: str = "",
        patience: Patience | None = None,
        server_name: str = "",
    ) -> grpc.aio.Channel:
        """Open a channel to `target`, for example "127.0.0.1:50052" or "dns:///embedder:50052".

        Without `retry`, a call that may have arrived is not repeated. `health_service` is the name under which each
        server reports whether it should get calls; empty means that all should. With `patience`, calls without streams
        wait for a service that is just being restarted, and one that had been sent is sent once more. An encrypted
        channel shows the newest certificates; the server's own must be for the host of `target`, or for the server name
        of all servers or, without one, for `server_name` if that is given. Each call has the metadata of `identity`.
        """
        certificates, server_name = self.certificates, self.server_name or server_name
        once: dict[str, object] = {"loadBalancingConfig": _ROUND_ROBIN}
        if health_service:
            once["loadBalancingConfig"] = [{"outlier_detection_experimental": _LEAVING_OUT}]
            once["healthCheckConfig"] = {"serviceName": health_service}
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            ("grpc.keepalive_time_ms", 30_000),
            # Also how long what was sent may stay unacknowledged: a link that was cut is noticed by then.
            ("grpc.keepalive_timeout_ms", 10_000),
            # The same for a server that is suspended, whose system still acknowledges what is sent.
            ("grpc.http2.ping_timeout_ms", 10_000),
            # gRPC's own limit, 20 s, is how long calls would wait for a server behind a link that was cut.
            ("grpc.min_reconnect_backoff_ms", int(1_000 * _CONNECT_SECONDS)),
            # Reconnect to a restarted service within a second.
            ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.initial_reconnect_backoff_ms", 100),
            # gRPC's own limit, one look-up in 30 s, would delay calls to a server that has another address now.
            ("grpc.dns_min_time_between_resolutions_ms", 5_000),
        ]
        if certificates is not None and server_name:
            options.append(("grpc.ssl_target_name_override", server_name))

        def open_with(config: object) -> grpc.aio.Channel:
            configured = [*options, ("grpc.service_config", json.dumps(config))]
            if certificates is None:
                return grpc.aio.insecure_channel(target, options=configured)

            def encrypted(current: Certificates) -> grpc.aio.Channel:
                credentials = grpc.ssl_channel_credentials(current.authorities, current.key, current.chain)
                return grpc.aio.secure_channel(target, credentials, options=configured)

            return RenewedChannel(target, certificates, encrypted)

        # Both use the same connections: gRPC shares those of channels that differ in their service config only.
        return _Channel(open_with(once | _RETRYING if retry else once), open_with(once), self.identity, patience)


def _in_context(usual: Any, once: Any, path: str, identity: Callable[[], Metadata]) -> Callable[..., Any]:
    """Return a method of a channel that adds deadline, trace, lane and identity of the current call.

    The method is `usual`, or `once` if the current call is repeated.
    """
    name = path.removeprefix("/")

    def start(*request: Any, timeout: float | None = None, metadata: Any = (), **options: Any) -> Any:
        span = tracing.start_span(name, Kind.CLIENT)
        started = (once if attempts.is_repeated() else usual)(
            *request,
            timeout=deadlines.cap(DEFAULT_DEADLINE_SECONDS if timeout is None else timeout),
            metadata=(
                *(metadata or ()),
                (tracing.HEADER, tracing.traceparent(span)),
                *lanes.metadata(),
                *attempts.metadata(),
                *identity(),
            ),
            **options,
        )
        if span.id:
            # The call refers to the span, not the other way round: a stream that nobody reads any more can end.
            started.add_done_callback(partial(_end_soon, span, name))
        return started

    return start


def _end_soon(span: Span, name: str, call: Any) -> None:
    ending = asyncio.get_running_loop().create_task(_end(span, name, call))
    _endings.add(ending)
    ending.add_done_callback(_endings.discard)


async def _end(span: Span, name: str, call: Any) -> None:
    """End the span of a call that is over; its code is there, and does not have to be waited for."""
    code = await call.code()
    span.set("rpc.system.name", "grpc")
    span.set("rpc.method", name)
    span.set("rpc.response.status_code", code.name)
    if code is not grpc.StatusCode.OK:
        span.fail(code.name)
    span.end()


def _patiently(call: Callable[..., Any], patience: Patience) -> Callable[..., Any]:
    return lambda *request, **options: _PatientCall(lambda: call(*request, **options), patience)


class _PatientCall:
    """A call that begins when it is awaited and the service is there."""

    def __init__(self, begin: Callable[[], Any], patience: Patience) -> None:
        self._begin = begin
        self._patience = patience
        self._call: Any = None

    def __await__(self) -> Generator[Any, None, Any]:
        return self._answer().__await__()

    async def trailing_metadata(self) -> Any:
        """Return what came after the answer, which has been awaited."""
        return await self._call.trailing_metadata()

    async def _answer(self) -> Any:
        await self._patience.wait()
        began = time.monotonic()
        self._call = self._begin()
        try:
            return await self._call
        except grpc.aio.AioRpcError as error:
            if attempts.is_repeated() or not is_end_of_server(error) or not await self._patience.has_gone_since(began):
                raise
        # Once more, and not for ever: it may be this very call that ends the server each time.
        await self._patience.wait()
        self._call = self._begin()
        return await self._call


class _Channel(WrappedChannel):
    """A channel whose calls run in the context of the current call."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        once: grpc.aio.Channel,
        identity: Callable[[], Metadata],
        patience: Patience | None,
    ) -> None:
        self._channel = channel
        self._once = once
        self._identity = identity
        self._patience = patience

    @override
    def _method(self, kind: str, path: str, *more: Any, **options: Any) -> Callable[..., Any]:
        usual, once = (getattr(each, kind)(path, *more, **options) for each in (self._channel, self._once))
        return _in_context(usual, once, path, self._identity)

    @override
    def unary_unary(self, *method: Any, **options: Any) -> Any:
        call = super().unary_unary(*method, **options)
        return _patiently(call, self._patience) if self._patience else call

    @override
    async def close(self, grace: float | None = None) -> None:
        await asyncio.gather(self._channel.close(grace), self._once.close(grace))
