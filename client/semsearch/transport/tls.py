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

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise InvalidRequest(
                "A certificate and its key go together, but only one of them is given.",
                hint=f"Give both, for example with {CERTIFICATE_VARIABLE} and {KEY_VARIABLE}, or neither.",
            )

    def credentials(self) -> grpc.ChannelCredentials:
        """Return the credentials of a channel.

        Raises:
            InvalidRequest: A file cannot be used.
        """
        self.context()  # gRPC would take whatever it gets, and fail later as if there were no server
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
            context = ssl.create_default_context(cadata=None if roots is None else roots.decode("ascii"))
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"{_name(self.roots, 'roots')} has no certificates in PEM.") from error
        if isinstance(self.certificate, Path) and isinstance(self.key, Path):
            _pem(self.certificate, "certificate")
            _pem(self.key, "key")
            try:
                context.load_cert_chain(self.certificate, self.key, password="")
            except (OSError, ValueError) as error:
                if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
                    problem = f"The key in {self.key} is not the key of the certificate in {self.certificate}."
                else:
                    problem = f"{self.certificate} is not a certificate in PEM, or {self.key} not its key in PEM."
                raise InvalidRequest(problem) from error
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
        raise InvalidRequest(f"{_name(given, name)} cannot be read: {error.strerror}.") from error


def _name(given: Path | bytes | None, name: str) -> str:
    return f"Tls({name}=…): {given}" if isinstance(given, Path) else f"Tls({name}=…)"
