"""Where other gateways reach this process: the address that goes with the lease."""

from __future__ import annotations

import socket

from gateway.settings import GatewaySettings

_EVERYWHERE = {"0.0.0.0", "::", "[::]"}  # noqa: S104 — recognised, not bound
# An address of documentation, to which nothing is sent: the system only chooses the interface.
_ELSEWHERE = ("192.0.2.1", 9)
_LOOPBACK = "127.0.0.1"


def advertised_address(settings: GatewaySettings) -> str:
    """Return the address that `advertise` sets or, without it, that of the interface towards other machines.

    Returns "" if the port is known only after the start; then no other gateway reaches this one.
    """
    own_port = settings.own_port if settings.shares_port else settings.port
    host, _, port = settings.advertise.partition(":")
    port = port or str(own_port or "")
    if not host:
        host = _outward_address() if settings.host in _EVERYWHERE else settings.host
    return f"{host}:{port}" if port else ""


def _outward_address() -> str:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_ELSEWHERE)
            return str(probe.getsockname()[0])
    except OSError:  # no network: all gateways are on this machine
        return _LOOPBACK
