"""The HTTP port of a process: bound before anything is loaded, then served by uvicorn in the process's own loop."""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

# Bytes of a request's line and headers. gRPC allows 8 kB of metadata; a Connect GET has its message in the line.
MAX_HEADER_BYTES = 64 * 2**10
# Connections and requests in progress; more are answered 503.
MAX_CONNECTIONS = 1_000
KEEP_ALIVE_SECONDS = 60


def bind(host: str, port: int) -> socket.socket:
    """Listen on a port; raises `OSError` if that is not possible. Connections wait until the server starts."""
    family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family, backlog=1024)


class HttpServer:
    """Serves an ASGI application on a bound socket."""

    def __init__(self, listening: socket.socket, app: ASGIApp, drain_seconds: float) -> None:
        self._listening = listening
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="none",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=math.ceil(drain_seconds),
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            )
        )

    async def serve(self) -> None:
        """Serve until `stop`, and drain."""
        await self._server.serve(sockets=[self._listening])

    def stop(self) -> None:
        """Refuse new connections; calls in flight have `drain_seconds` to finish."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process."""
        yield
