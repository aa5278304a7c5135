"""The ports of a process: gRPC, HTTP, metrics, and its own one where several processes share the first.

All are bound before anything is loaded, so that a port in use is reported at once.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

import grpc.aio

from serving.http_server import bind
from serving.http_settings import HttpSettings
from serving.metrics_server import serve_metrics
from serving.settings import ServiceSettings
from serving.tls_servers import Encryption, add_port


class PortTaken(Exception):
    """A port is in use or may not be opened."""


@dataclass(frozen=True)
class Ports:
    """Where a process listens."""

    host: str
    grpc: int
    http: socket.socket | None

    def addresses(self) -> dict[str, str]:
        """Return them by their names in the log."""
        http = {} if self.http is None else {"http_address": f"{self.host}:{self.http.getsockname()[1]}"}
        return {"address": f"{self.host}:{self.grpc}", **http}


def bind_ports(server: grpc.aio.Server, settings: ServiceSettings, encryption: Encryption) -> Ports:
    """Bind the ports of gRPC, metrics and HTTP, and the process's own port.

    Raises:
        PortTaken: One of them is in use or may not be opened.
    """
    try:
        port = add_port(server, f"{settings.host}:{settings.port}", encryption.port)
    except RuntimeError as error:
        raise _taken(settings, "port") from error
    if settings.own_address:
        host, _, number = settings.own_address.rpartition(":")
        try:
            with socket.create_server((host, int(number))):
                pass  # gRPC would share this port too, and the process's calls would reach another one
            add_port(server, settings.own_address, encryption.own_port)
        except (OSError, RuntimeError) as error:
            raise _taken(settings, "own_port", host) from error
    if settings.metrics_port >= 0:
        try:
            serve_metrics(settings.host, settings.metrics_port, encryption.metrics)
        except OSError as error:
            raise _taken(settings, "metrics_port") from error
    http = None
    if isinstance(settings, HttpSettings) and settings.http_port >= 0:
        try:
            http = bind(settings.host, settings.http_port, shares_port=settings.shares_port)
        except OSError as error:
            raise _taken(settings, "http_port") from error
    return Ports(settings.host, port, http)


def _taken(settings: ServiceSettings, field: str, host: str = "") -> PortTaken:
    return PortTaken(
        f"Port {getattr(settings, field)} on {host or settings.host} is in use or may not be opened. Stop the program "
        f"that uses it (another semsearch?), or set {settings.variable(field)} to another port."
    )
