"""The ports of a gateway process."""

from __future__ import annotations

import socket

import grpc.aio
import pytest

from gateway.settings import GatewaySettings
from serving.ports import PortTaken, bind_ports
from serving.tls_servers import Encryption


async def test_several_processes_do_not_share_their_own_ports() -> None:
    """gRPC would share any port with the other process, and a change for the owner could reach the wrong one."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        number = other.getsockname()[1]
        settings = GatewaySettings(processes=2, port=0, metrics_port=-1, http_port=-1, own_port=number)
        bound = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
        with pytest.raises(PortTaken, match=rf"Port {number} on 127.0.0.1 .* SEMSEARCH_GATEWAY_OWN_PORT"):
            bind_ports(bound, settings, Encryption.of(settings))
        await bound.stop(None)
