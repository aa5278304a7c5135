"""The server: its address, the certificates to trust, and the credentials to send."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc

from semsearch.errors import InvalidRequest
from semsearch.rpc_errors import Peer
from semsearch.transport.retries import Retries
from semsearch.transport.tls import Tls, tls_of_environment

DEFAULT_TIMEOUT_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
# The gateway's default limit; a larger message would end its whole stream.
MAX_MESSAGE_BYTES = 64 * 2**20

Token: TypeAlias = str | Callable[[], str]
TOKEN_VARIABLE = "SEMSEARCH_CLIENT_TOKEN"  # noqa: S105 — a name
# Several servers take calls in turn, so that a repeated call meets another one. A server is left out for 5 s, then 10 s
# and so on, if more than half of its calls failed within a second. One that cannot reach the index, for example,
# accepts calls and fails them. At most half of the servers are left out.
_SPREADING = {
    "loadBalancingConfig": [
        {
            "outlier_detection_experimental": {
                "interval": "1s",
                "baseEjectionTime": "5s",
                "maxEjectionTime": "60s",
                "maxEjectionPercent": 50,
                "failurePercentageEjection": {
                    "threshold": 50,
                    "enforcementPercentage": 100,
                    "minimumHosts": 2,
                    "requestVolume": 3,
                },
                "childPolicy": [{"round_robin": {}}],
            }
        }
    ]
}
_SCHEME = re.compile(r"(?:dns|ipv4|ipv6):/*")


@dataclass(frozen=True)
class Server:
    """The address of a server and everything that a channel to it needs.

    If `tls` is None, the variables SEMSEARCH_CLIENT_TLS_… say whether and how connections are encrypted. Without a
    token, that of the variable SEMSEARCH_CLIENT_TOKEN is sent, if it is set.

    Raises:
        InvalidRequest: a token would leave this machine unencrypted.
    """

    address: str
    peer: Peer
    tls: bool | Tls | grpc.ChannelCredentials | None = None
    token: Token | None = field(default=None, repr=False)
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    retries: Retries = field(default_factory=Retries)

    def __post_init__(self) -> None:
        if self.token is None:
            object.__setattr__(self, "token", os.environ.get(TOKEN_VARIABLE, "").strip())
        if self.tls is None:
            object.__setattr__(self, "tls", tls_of_environment())
        if self.token and not self.tls and not is_this_machine(self.address):
            raise InvalidRequest(
                f"The token would travel to {self.address} unencrypted, where others can read it.",
                hint="Encrypt the connection (tls=True, or --tls), or use a tunnel that ends on this machine.",
            )

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Return the credentials of a channel; None means plaintext.

        Raises:
            InvalidRequest: a PEM file cannot be read.
        """
        if self.tls is None or isinstance(self.tls, bool):
            return grpc.ssl_channel_credentials() if self.tls else None
        return self.tls.credentials() if isinstance(self.tls, Tls) else self.tls

    def channel_options(self) -> list[tuple[str, Any]]:
        """Return the options of a channel."""
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # These detect a server that has vanished while a stream is silent. gRPC servers allow one ping per
            # 5 minutes and close the connection of a client that pings more often ("too_many_pings", after 3 of them).
            ("grpc.keepalive_time_ms", 330_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # gRPC's own limit, 20 s, is how long calls would wait for a server that does not even refuse connections.
            ("grpc.min_reconnect_backoff_ms", int(1_000 * _CONNECT_SECONDS)),
            # After a failed connection, the next attempt waits a second at most: retries should find a server that is
            # back, and gRPC's own limit is two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.service_config", json.dumps(_SPREADING)),
        ]
        if isinstance(self.tls, Tls) and self.tls.server_name:
            options.append(("grpc.ssl_target_name_override", self.tls.server_name))
        return options

    def metadata(self) -> tuple[tuple[str, str], ...] | None:
        """Return what is sent with each call besides the request.

        Raises:
            InvalidRequest: the token cannot be sent.
        """
        # Not gRPC's call credentials: they need another thread for each call, and exist on encrypted channels only.
        token = self.token() if callable(self.token) else self.token or ""
        if not (token.isascii() and token.isprintable()):
            raise InvalidRequest(
                "The token has a character that a header cannot carry, such as a line break.",
                hint="A token that is read from a file often ends in a line break: remove it with .strip().",
            )
        return (("authorization", f"Bearer {token}"),) if token else None


def is_this_machine(address: str) -> bool:
    """Return whether an address is certainly one of this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = _SCHEME.sub("", address, count=1).rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
