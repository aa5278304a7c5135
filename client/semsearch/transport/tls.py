"""The certificates of an encrypted connection, and the variables that name them."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from semsearch.errors import InvalidRequest

TLS_VARIABLE = "SEMSEARCH_CLIENT_TLS"
CA_VARIABLE = f"{TLS_VARIABLE}_CA"
CERTIFICATE_VARIABLE = f"{TLS_VARIABLE}_CERT"
KEY_VARIABLE = f"{TLS_VARIABLE}_KEY"
NAME_VARIABLE = f"{TLS_VARIABLE}_SERVER_NAME"
_OFF = ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Tls:
    """The certificates of an encrypted connection, each as a PEM file or its bytes.

    `roots` are the authorities to trust; None means those that come with gRPC. `certificate` and `key` are the
    caller's own, for servers that require them. `server_name` is the name in the server's certificate, if it differs
    from the host of the address.
    """

    roots: Path | bytes | None = None
    certificate: Path | bytes | None = None
    key: Path | bytes | None = field(default=None, repr=False)
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Return the credentials of a channel.

        Raises:
            InvalidRequest: A file cannot be read.
        """
        return grpc.ssl_channel_credentials(
            _pem(self.roots, "roots"), _pem(self.key, "key"), _pem(self.certificate, "certificate")
        )

    def context(self) -> ssl.SSLContext:
        """Return the context of an HTTPS connection; certificates have to be files.

        Raises:
            InvalidRequest: A file cannot be used.
        """
        roots = _pem(self.roots, "roots")
        try:
            context = ssl.create_default_context(cadata=roots.decode("ascii") if roots else None)
            if isinstance(self.certificate, Path) and isinstance(self.key, Path):
                context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"{self} cannot be used: {error}.") from error
        return context


def tls_of_environment() -> bool | Tls:
    """Return what the variables say: certificates, or whether to encrypt with the authorities of gRPC."""
    roots, certificate, key = map(_file, (CA_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE))
    name = os.environ.get(NAME_VARIABLE, "")
    if roots or certificate or key or name:
        return Tls(roots, certificate, key, name)
    return os.environ.get(TLS_VARIABLE, "").lower() not in _OFF


def _file(variable: str) -> Path | None:
    return Path(text) if (text := os.environ.get(variable)) else None


def _pem(given: Path | bytes | None, name: str) -> bytes | None:
    if given is None or isinstance(given, bytes):
        return given
    try:
        return Path(given).read_bytes()
    except OSError as error:
        raise InvalidRequest(f"Tls({name}=…): {given} cannot be read: {error.strerror}.") from error
