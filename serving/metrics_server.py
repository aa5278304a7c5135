"""The port where Prometheus fetches a process's metrics, served by threads of its own."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from typing_extensions import override

# How long a client may take for the handshake and its request.
_SECONDS = 10.0


def serve_metrics(host: str, port: int, context: ssl.SSLContext | None = None) -> int:
    """Serve `/metrics`, over TLS if there is a context, and return the port.

    Raises:
        OSError: The port is in use.
    """
    family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]

    class Server(ThreadingWSGIServer):
        address_family = family

        @override
        def get_request(self) -> tuple[socket.socket, Any]:
            connection, caller = super().get_request()
            if context is not None:
                # The handshake is left to the thread of the request: a client that delays it delays no others.
                connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            return connection, caller

        @override
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Log nothing: whoever scans the port would fill the log."""

    server = make_server(str(address[0]), port, make_wsgi_app(), Server, _Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_address[1])


class _Handler(WSGIRequestHandler):
    timeout = _SECONDS

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
