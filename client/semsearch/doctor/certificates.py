"""Examine the encryption of a port: whether it fits the caller's, and when the certificate expires."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from semsearch.doctor.findings import Finding, ok, problem
from semsearch.doctor.places import Place
from semsearch.errors import InvalidRequest
from semsearch.transport.tls import (
    CA_VARIABLE,
    CERTIFICATE_VARIABLE,
    KEY_VARIABLE,
    NAME_VARIABLE,
    Tls,
    tls_of_environment,
)

_SECONDS = 5.0
# As the services themselves warn (serving/tls.py).
_WARN_BEFORE = timedelta(days=14)
_WARN_SHARE = 4
_VALIDITY = ("notBefore", "notAfter")


def own_tls() -> Tls | None:
    """Return the certificates for this caller's connections; None for plaintext."""
    tls = tls_of_environment()
    return tls if isinstance(tls, Tls) else Tls() if tls else None


def own_certificate_problem() -> Finding | None:
    """Return what is wrong with the files of this caller's connections; no port can be asked anything then."""
    try:
        if (tls := own_tls()) is not None:
            tls.context()
    except InvalidRequest as error:
        return problem(
            "certificate",
            f"{error.message} Services that have the same files serve with the last good ones",
            f"Make the files right, for example with `semsearch certs renew`, or set {CA_VARIABLE}, "
            f"{CERTIFICATE_VARIABLE} and {KEY_VARIABLE} to others. A restart of services with these files would fail.",
        )
    return None


def examine_certificate(place: Place) -> Iterator[Finding]:
    """Yield how long the certificate of a port is good, if it is encrypted."""
    if (tls := own_tls()) is not None:
        yield from _examine_shown(place, tls)


def examine_certificate_unasked(place: Place) -> Iterator[Finding]:
    """Yield how long the certificate of a port is good, which it also shows to callers without one."""
    roots = os.environ.get(CA_VARIABLE)
    tls = Tls(Path(roots) if roots else None, server_name=os.environ.get(NAME_VARIABLE, ""))
    try:
        tls.context()
    except InvalidRequest:  # which is a finding of its own
        return
    yield from _examine_shown(place, tls)


def _examine_shown(place: Place, tls: Tls) -> Iterator[Finding]:
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
    tls = own_tls()
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
