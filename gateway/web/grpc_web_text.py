"""gRPC-Web in its text form: the frames of the binary form, in base64.

`connectrpc` speaks the binary form. Old browsers and proxies need the text form, and grpc-web's own JavaScript client
uses it for streams.
"""

from __future__ import annotations

import base64
import binascii
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TEXT = "application/grpc-web-text"
_BINARY = "application/grpc-web"
# A part ends with padding or with the body: each may have been encoded by itself.
_PART = re.compile(rb"[^=]+=*")


class GrpcWebText:
    """Passes on requests in the text form as requests in the binary form, and their responses in turn."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        content_type = Headers(scope=scope).get("content-type", "")
        if not content_type.startswith(_TEXT):
            await self._app(scope, receive, send)
            return
        scope = {**scope, "headers": list(scope["headers"])}
        MutableHeaders(scope=scope)["content-type"] = content_type.replace(_TEXT, _BINARY)
        body = _Decoder()

        async def receive_binary() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                return {**message, "body": body.decode(message.get("body", b""))}
            return message

        async def send_text(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-type"] = headers.get("content-type", "").replace(_BINARY, _TEXT)
            elif message["type"] == "http.response.body":
                message = {**message, "body": base64.b64encode(message.get("body", b""))}
            await send(message)

        await self._app(scope, receive_binary, send_text)


class _Decoder:
    """Decodes base64 that arrives in pieces of any length."""

    def __init__(self) -> None:
        self._rest = b""

    def decode(self, text: bytes) -> bytes:
        """Return the bytes of what is complete; text that is not base64 decodes to nothing."""
        text = self._rest + text
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        try:
            return b"".join(base64.b64decode(part, validate=True) for part in _PART.findall(text[:whole]))
        except binascii.Error:
            return b""
