"""Refuse requests for foreign host names.

Any web page can point its own host name at 127.0.0.1, and then call a server there as its own origin (DNS rebinding).
The browser sends that name as Host. So a gateway that listens on a loopback address answers only to
addresses, to localhost, and to the names in `http_allowed_hosts`, such as that of a proxy in front of it. A gateway
that listens on other addresses answers to every name, unless that setting lists some.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.access.exposure import is_loopback


class HostGuard:
    """Passes on requests to allowed hosts."""

    def __init__(self, app: ASGIApp, listening: str, allowed: Sequence[str]) -> None:
        self._app = app
        self._open = not allowed and not is_loopback(listening)
        self._allowed = {name.lower() for name in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        host = Headers(scope=scope).get("host", "")
        if self._open or self._may(host):
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse(
            "This server does not answer under the name in the Host header. If that name is yours, for example that of "
            "a proxy, add it to SEMSEARCH_GATEWAY_HTTP_ALLOWED_HOSTS.\n",
            421,
        )
        await refusal(scope, receive, send)

    def _may(self, host: str) -> bool:
        name = _without_port(host).lower()
        return name in self._allowed or name == "localhost" or name.endswith(".localhost") or _is_address(name)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _is_address(name: str) -> bool:
    """Return whether a name is an IP address, which no page can point elsewhere."""
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
