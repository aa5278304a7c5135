"""Examine the encryption of a port: whether it fits the caller's, and when the certificate expires."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from semsearch.doctor.findings import Finding, ok, problem
from semsearch.doctor.places import Place
from semsearch.rpc_errors import GATEWAY
from semsearch.transport.server import Server
from semsearch.transport.tls import CA_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE, Tls

_SECONDS = 5.0
# As the services themselves warn (serving/tls.py).
_WARN_BEFORE = timedelta(days=14)
_WARN_SHARE = 4
_VALIDITY = ("notBefore", "notAfter")


def tls_of(place: Place) -> Tls | None:
    """Return the certificates for connections to a port; None for plaintext."""
    tls = Server(place.address, GATEWAY).tls
    return tls if isinstance(tls, Tls) else Tls() if tls else None


def examine_certificate(place: Place) -> Iterator[Finding]:
    """Yield how long the certificate of a port is good, if it is encrypted."""
    tls = tls_of(place)
    if tls is None:
        return
    part = f"{place.service}: certificate"
    try:
        shown = _shown(place, tls.context(), tls.server_name)
    except OSError as error:
        yield problem(part, f"{place.address} ends the handshake: {error}", "The log of the service may say more.")
        return
    begins, expires = (datetime.fromtimestamp(ssl.cert_time_to_seconds(shown[key]), UTC) for key in _VALIDITY)
    left, hosts = expires - datetime.now(UTC), ", ".join(name for _, name in shown.get("subjectAltName", ()))
    text = f"valid until {expires:%Y-%m-%d %H:%M} UTC, for {hosts}"
    if left < min(_WARN_BEFORE, (expires - begins) / _WARN_SHARE):
        yield problem(
            part,
            f"expires in {left.total_seconds() / 86_400:.1f} days: {text}",
            "Renew it, for example with `semsearch certs renew`; the services notice, and need no restart.",
        )
    else:
        yield ok(part, text)


def encryption_problem(place: Place) -> Finding | None:
    """Return why a port cannot be reached, if the reason is its encryption or that of the caller."""
    tls = tls_of(place)
    if tls is None:
        if not _speaks_tls(place):
            return None
        return problem(
            place.service,
            f"{place.address} is encrypted, and this connection was not",
            f"Set {CA_VARIABLE} to the file of its authority (ca.crt) and, if it asks for certificates, "
            f"{CERTIFICATE_VARIABLE} and {KEY_VARIABLE} to yours.",
        )
    try:
        _shown(place, tls.context(), tls.server_name)
    except ssl.SSLCertVerificationError as error:
        return problem(
            place.service,
            f"{place.address} shows a certificate that is not trusted: {error.verify_message}",
            f"Check that {CA_VARIABLE} names the authority that signed it, and that it is for the host of the address: "
            "`semsearch certs list` shows the hosts.",
        )
    except OSError as error:
        return problem(
            place.service,
            f"{place.address} is not encrypted, or ends the handshake: {error}",
            f"If the suite is not encrypted, unset {CA_VARIABLE}.",
        )
    return problem(
        place.service,
        f"{place.address} does not accept this caller's certificate",
        f"Set {CERTIFICATE_VARIABLE} and {KEY_VARIABLE} to one of the suite's authority that has not expired.",
    )


def _speaks_tls(place: Place) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        _shown(place, context, "")
    except OSError:
        return False
    return True


def _shown(place: Place, context: ssl.SSLContext, server_name: str) -> dict[str, Any]:
    """Return the certificate that a port shows; raises `OSError` if the handshake fails."""
    host = place.host.strip("[]")
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, place.port), _SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=server_name or host) as encrypted,
    ):
        return encrypted.getpeercert() or {}
