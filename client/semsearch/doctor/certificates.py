"""Examine the certificate that a port shows, and when it expires."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from semsearch.doctor.findings import Finding, ok, problem
from semsearch.doctor.places import Place
from semsearch.transport.tls import Tls

_SECONDS = 5.0
# As the services themselves warn (serving/tls.py).
_WARN_BEFORE = timedelta(days=14)
_WARN_SHARE = 4
_TIME = "%b %d %H:%M:%S %Y GMT"


def examine_certificate(place: Place, tls: Tls) -> Iterator[Finding]:
    """Yield whether the certificate of a port is trusted, and good for some time."""
    part = f"{place.service}: certificate"
    try:
        shown = _shown(place, tls)
    except ssl.SSLCertVerificationError as error:
        yield problem(
            part,
            f"{place.address} shows a certificate that is not trusted: {error.verify_message}",
            "Check that the authority (SEMSEARCH_CLIENT_TLS_CA) is the one that signed it, and that the certificate is "
            "for this host: `semsearch certs list` shows the hosts.",
        )
        return
    except (OSError, ValueError) as error:
        yield problem(part, f"{place.address} is not encrypted: {error}", "Set SEMSEARCH_TLS_CERT, and start it again.")
        return
    begins, expires = (datetime.strptime(shown[key], _TIME).replace(tzinfo=UTC) for key in ("notBefore", "notAfter"))
    left = expires - datetime.now(UTC)
    text = f"valid until {expires:%Y-%m-%d %H:%M} UTC, for {_hosts(shown)}"
    if left < min(_WARN_BEFORE, (expires - begins) / _WARN_SHARE):
        yield problem(
            part,
            f"expires in {left.days} days: {text}",
            "Renew it (`semsearch certs renew`, if you made it with that); the services notice, and need no restart.",
        )
        return
    yield ok(part, text)


def _shown(place: Place, tls: Tls) -> dict[str, Any]:
    context = tls.context()
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((place.host.strip("[]"), place.port), _SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=tls.server_name or place.host.strip("[]")) as encrypted,
    ):
        return encrypted.getpeercert() or {}


def _hosts(shown: dict[str, Any]) -> str:
    return ", ".join(name for _, name in shown.get("subjectAltName", ())) or "no host"
