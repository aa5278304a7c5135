"""What every HTTP request gets: a trace id, a limit on how long its client may stall, and an answer to any failure."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import tracing
from serving.byte_budget import TooManyBytes
from serving.http_bodies import Bodies, Body

# How long a client may pause while it sends a request's body, or while it should read the response.
STALL_SECONDS = 60.0
# How long the rest of a body that is refused is read.
_DISCARDING_SECONDS = 5.0
# Bytes of all bodies in memory, unless a setting says otherwise.
PENDING_BYTES = 256 * 2**20

log = structlog.get_logger(__name__)


class RequestGuard:
    """The outermost application.

    An application that reads a body gets `TooManyBytes` if there is no room for it; see `http_bodies`.
    """

    def __init__(self, app: ASGIApp, bodies: Bodies | None = None, stall_seconds: float = STALL_SECONDS) -> None:
        self._app = app
        self._bodies = bodies or Bodies(PENDING_BYTES)
        self._stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        structlog.contextvars.bind_contextvars(trace_id=tracing.begin(_traceparent(scope)))
        with self._bodies.body(_peer(scope)) as body:
            await self._answer(scope, _Request(receive, send, body, self._stall_seconds))

    async def _answer(self, scope: Scope, request: _Request) -> None:
        try:
            await self._app(scope, request.receive, request.send)
        except asyncio.CancelledError:
            # The server stops, and this request outlasted the drain. uvicorn would log that as an error.
            if not request.started:
                await request.answer(503, b"The server is stopping.\n")
        except TooManyBytes as error:
            if request.started:
                raise
            await request.answer(429, f"{error}\n".encode(), (b"retry-after", b"1"))
        except _Stalled:
            raise  # uvicorn closes the connection
        except Exception:
            log.exception("internal error", path=scope["path"])
            if not request.complete:
                if request.started:
                    raise
                await request.answer(500, internal_error_text())


def internal_error_text() -> bytes:
    """Return the text that a client gets after an internal error."""
    return f"Something went wrong on our side. The log has more under trace id {tracing.current_trace_id()}.\n".encode()


class _Stalled(Exception):
    """The client does not read the response."""


class _Request:
    """A request's channels, with their limits, and the state of its response."""

    def __init__(self, receive: Receive, send: Send, body: Body, stall_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._body = body
        self._stall_seconds = stall_seconds
        self._body_received = False
        self.started = False
        self.complete = False

    async def receive(self) -> Message:
        """Return the next part of the request; a client that stalls counts as gone.

        Raises:
            TooManyBytes: There is no room for it.
        """
        message = await self._next()
        try:
            self._body.take(len(message.get("body", b"")))
        except TooManyBytes:
            await self._discard_rest()
            raise
        return message

    async def _next(self) -> Message:
        if self._body_received:
            return await self._receive()  # only a disconnect can come
        try:
            async with asyncio.timeout(self._stall_seconds):
                message = await self._receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        self._body_received = not message.get("more_body", False)
        return message

    async def _discard_rest(self) -> None:
        """Read the rest of the body, for a while: most clients read no answer before they have sent all of it."""
        self._body.hold(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCARDING_SECONDS):
                while not self._body_received:
                    await self._next()

    async def send(self, message: Message) -> None:
        """Send the next part of the response.

        Raises:
            _Stalled: The client does not read it.
        """
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self._send(message)
        except TimeoutError as error:
            raise _Stalled from error
        self.started = True
        self.complete = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def answer(self, status: int, text: bytes, *more_headers: tuple[bytes, bytes]) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": [*headers, *more_headers]})
        await self.send({"type": "http.response.body", "body": text})


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else ""


def _traceparent(scope: Scope) -> str | None:
    wanted = tracing.HEADER.encode()
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)
