"""What protects a suite on machines: nothing, or certificates on every hop and a token in every call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import grpc
from semsearch import Tls
from semsearch.certificates.folder import CertificateFolder
from semsearch.token_file import TokenFile

# In all certificates, because clients reach several servers by one address.
_NAME = "suite.internal"


class Guard(Protocol):
    """How services and callers identify themselves."""

    flags: Sequence[str]  # of each service
    client: Mapping[str, Any]  # arguments of `semsearch.Client`

    def channel(self, address: str) -> grpc.Channel:
        """Open a channel to a service."""


class Open:
    """Services that anyone may call, unencrypted."""

    flags: Sequence[str] = ("--insecure",)
    client: Mapping[str, Any] = {}

    def channel(self, address: str) -> grpc.Channel:
        """Open a channel to a service."""
        return grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)])


class Guarded:
    """Services with certificates, which callers must have too, and tokens."""

    def __init__(self, folder: Path) -> None:
        """Make certificates and a token in a folder, as `semsearch certs` and `semsearch token` do."""
        CertificateFolder(folder).make([_NAME])
        tokens = folder / "tokens.json"
        _, self._token = TokenFile(tokens).add("tester", "admin", [], None)
        self._authority, self._certificate, self._key = (
            folder / name for name in ("ca.crt", "client.crt", "client.key")
        )
        self.flags: Sequence[str] = (
            f"--tls-cert={folder / 'server.crt'}", f"--tls-key={folder / 'server.key'}", f"--tls-ca={self._authority}",
            f"--tls-server-name={_NAME}", f"--tokens={tokens}",
        )  # fmt: skip
        self.client: Mapping[str, Any] = {
            "tls": Tls(self._authority, self._certificate, self._key, _NAME), "token": self._token,
        }  # fmt: skip

    def channel(self, address: str) -> grpc.Channel:
        """Open a channel to a service."""
        certificates = grpc.ssl_channel_credentials(
            self._authority.read_bytes(), self._key.read_bytes(), self._certificate.read_bytes()
        )
        token = grpc.access_token_call_credentials(self._token)
        return grpc.secure_channel(
            address,
            grpc.composite_channel_credentials(certificates, token),
            [("grpc.enable_http_proxy", 0), ("grpc.ssl_target_name_override", _NAME)],
        )
