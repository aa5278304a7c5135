"""What every HTTP request gets: a trace id, a limit on how long its client may stall, and an answer to any failure."""

from __future__ import annotations

import asyncio

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import tracing

# How long a client may pause while it sends a request's body, or while it should read the response.
STALL_SECONDS = 60.0

log = structlog.get_logger(__name__)


class RequestGuard:
    """The outermost application."""

    def __init__(self, app: ASGIApp, stall_seconds: float = STALL_SECONDS) -> None:
        self._app = app
        self._stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        structlog.contextvars.bind_contextvars(trace_id=tracing.begin(_traceparent(scope)))
        request = _Request(receive, send, self._stall_seconds)
        try:
            await self._app(scope, request.receive, request.send)
        except asyncio.CancelledError:
            # The server stops, and this request outlasted the drain. uvicorn would log that as an error.
            if not request.started:
                await request.answer(503, b"The server is stopping.\n")
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

    def __init__(self, receive: Receive, send: Send, stall_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._stall_seconds = stall_seconds
        self._body_received = False
        self.started = False
        self.complete = False

    async def receive(self) -> Message:
        """Return the next part of the request; a client that stalls counts as gone."""
        if self._body_received:
            return await self._receive()  # only a disconnect can come
        try:
            async with asyncio.timeout(self._stall_seconds):
                message = await self._receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        self._body_received = not message.get("more_body", False)
        return message

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

    async def answer(self, status: int, text: bytes) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": text})


def _traceparent(scope: Scope) -> str | None:
    wanted = tracing.HEADER.encode()
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)
