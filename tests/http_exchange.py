"""HTTP requests as they are, for tests: any method, path and header; and an application on a real port."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from serving.http_server import HttpLimits, HttpServer, bind

SECONDS = 20.0
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


async def exchange(
    address: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    method: str = "",
) -> Answer:
    """Send a request to "host:port": GET, or POST if there is a body."""
    return await asyncio.to_thread(_exchange, address, path, headers or {}, body, method or ("POST" if body else "GET"))


def _exchange(address: str, path: str, headers: Mapping[str, str], body: bytes | None, method: str) -> Answer:
    connection = http.client.HTTPConnection(address, timeout=SECONDS)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


@asynccontextmanager
async def served(
    app: ASGIApp, drain_seconds: float = 1.0, limits: HttpLimits | None = None
) -> AsyncIterator[tuple[HttpServer, str]]:
    """Serve an application; yield the server and its address."""
    listening = bind("127.0.0.1", 0, shares_port=False)
    address = f"127.0.0.1:{listening.getsockname()[1]}"
    server = HttpServer(listening, app, limits=limits)
    serving = asyncio.create_task(server.serve())
    try:
        yield server, address
    finally:
        server.stop(drain_seconds)
        await serving


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection for bytes as they are."""
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(SECONDS):
            yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
