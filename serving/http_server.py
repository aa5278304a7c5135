"""The HTTP port of a process: bound before anything is loaded, then served by uvicorn in the process's own loop.

gRPC's server has limits built in, and uvicorn lacks some of them. Here are those of a connection: the bytes of a
request's head, the time to send it, the number of connections, and their age. `http_requests` has those of a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h11
import structlog
import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from serving.http_bodies import Bodies
from serving.http_requests import PENDING_BYTES, RequestGuard
from serving.quotas.peers import address_of

# Bytes of a request's line and headers. A Connect GET has its message in the line.
MAX_HEAD_BYTES = 64 * 2**10
# Further ones are answered 429 and closed. By default, a process may have 1,024 open files.
MAX_CONNECTIONS = 512
_TOO_MANY = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%b"
)
# A refused connection is open for as long as its client needs to read that; more of them are closed at once.
_REFUSED_SECONDS = 1.0
_MOST_REFUSED = 64
# How long a connection may take to send a request's head, and stay open without one.
HEAD_SECONDS = 20.0
KEEP_ALIVE_SECONDS = 60
# How long tasks that were cancelled at the end of the drain may take to clean up.
_CLEAN_UP_SECONDS = 1.0

log = structlog.get_logger(__name__)


def bind(host: str, port: int, *, shares_port: bool = False) -> socket.socket:
    """Listen on a port, perhaps with other processes; raises `OSError` if that is not possible.

    Connections wait until the server starts.
    """
    family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family, backlog=1024, reuse_port=shares_port)


@dataclass
class HttpLimits:
    """Limits that settings choose; the first may be changed while the server runs.

    Attributes:
        connections_per_address: Connections of one address.
        pending_bytes: Bytes of bodies in memory (see `http_bodies`).
        max_connection_age_seconds: The answer to a request that comes later is the last one of its connection; 0 is
            never.
    """

    connections_per_address: int = 256
    pending_bytes: int = PENDING_BYTES
    max_connection_age_seconds: float = 0.0


class HttpServer:
    """Serves an ASGI application on a bound socket, over TLS if there is a `context`."""

    def __init__(
        self,
        listening: socket.socket,
        app: ASGIApp,
        context: ssl.SSLContext | None = None,
        limits: HttpLimits | None = None,
    ) -> None:
        self._listening = listening
        limits = limits or HttpLimits()
        self._server = _Server(
            _Config(
                limits,
                RequestGuard(app, Bodies(limits.pending_bytes)),
                loop="none",
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
                ssl_context_factory=None if context is None else lambda _, __: context,
            )
        )

    async def serve(self) -> None:
        """Serve until `stop`, and drain."""
        _forward_log()
        await self._server.serve(sockets=[self._listening])
        if left := self._server.server_state.tasks:
            await asyncio.wait(left, timeout=_CLEAN_UP_SECONDS)

    def stop(self, seconds: float) -> None:
        """Refuse new connections; requests in progress have `seconds` to finish, and are cancelled then."""
        self._server.config.timeout_graceful_shutdown = math.ceil(seconds)
        self._server.should_exit = True


class _Config(uvicorn.Config):
    def __init__(self, limits: HttpLimits, app: ASGIApp, **others: Any) -> None:
        super().__init__(app, **others)
        self.limits = limits


class _Server(uvicorn.Server):
    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process."""
        yield


class _Protocol(H11Protocol):
    """Closes a connection that is one too many, takes too long to send the head of a request, or is too old.

    uvicorn refuses the requests of all connections if there are too many, and has a limit on time only for a connection
    that sends nothing after a response. An old connection ends after an answer that says so, so no request is lost.
    """

    _made_at = 0.0
    _late: asyncio.TimerHandle | None = None
    address = ""
    is_refused = False

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._made_at = self.loop.time()
        if self.client is not None:
            self.address = address_of(f"{self.client[0]}:{self.client[1]}")
        admitted = [each for each in self.connections if isinstance(each, _Protocol) and not each.is_refused]
        most = self._limits.connections_per_address
        if len(self.connections) - len(admitted) >= _MOST_REFUSED:
            self.is_refused = True
            transport.abort()
        elif len(admitted) > MAX_CONNECTIONS:
            self._refuse("")
        elif sum(each.address == self.address for each in admitted) > most:
            self._refuse(" from your address")
        else:
            self._watch()

    @override
    def data_received(self, data: bytes) -> None:
        if self.is_refused:
            return
        super().data_received(data)
        self._watch()

    @override
    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and self._is_old():
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    @property
    def _limits(self) -> HttpLimits:
        limits: HttpLimits = self.config.limits  # type: ignore[attr-defined]
        return limits

    def _is_old(self) -> bool:
        most = self._limits.max_connection_age_seconds
        return most > 0 and self.loop.time() - self._made_at > most

    def _refuse(self, whose: str) -> None:
        """Answer before a request comes, and discard that: closing at once would reset the connection instead."""
        self.is_refused = True
        text = f"There are too many connections{whose}. Close some, or try again in a moment.\n".encode()
        self.transport.write(_TOO_MANY % (len(text), text))
        self._late = self.loop.call_later(_REFUSED_SECONDS, self.transport.close)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Forward(logging.Handler):
    """Logs the warnings of uvicorn; `RequestGuard` logs the exceptions of requests."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if not record.exc_info:
            log.warning("http server", detail=record.getMessage())


def _forward_log() -> None:
    logger = logging.getLogger("uvicorn.error")
    logger.handlers = [_Forward(logging.WARNING)]
    logger.propagate = False
