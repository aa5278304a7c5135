"""Whether the gateway will accept the certificates of the services, itself included.

Each pair tries a handshake in memory before anything is started. A suite with a certificate that is refused would
never get ready, and its log would say so in every attempt. Only what is certain is refused: an expired certificate, one
of an unknown authority, and one for other hosts. Anything else that a handshake may say is left to the real ones.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from pathlib import Path

import grpc

from launcher.errors import CertificateNotTrusted
from launcher.services import Service

# Those of OpenSSL (X509_V_ERR_…): no issuer (2, 20, 21), not yet valid or expired (9, 10), signed by itself (18, 19).
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
_NOT_VALID_NOW = frozenset({9, 10})
_OTHER_HOSTS = frozenset({62, 64})
_ROOTS_VARIABLE = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"


def check_trust(gateway: Service, services: Sequence[Service]) -> None:
    """Check that the gateway accepts each service's certificate.

    Raises:
        CertificateNotTrusted: It would refuse one; the first is reported.
    """
    if gateway.tls is None:
        return
    roots = Path(gateway.tls.tls_ca or os.environ.get(_ROOTS_VARIABLE) or _bundled_roots())
    for service in services:
        if service.tls is None:
            continue
        host = gateway.tls.tls_server_name or service.address.rpartition(":")[0].strip("[]")
        code = _refusal(service.tls.tls_cert, service.tls.tls_key, roots, host)
        if problem := _problem(code, service.tls.tls_cert, gateway.tls.tls_ca, host):
            raise CertificateNotTrusted(problem)


def _problem(code: int, certificate: str, authorities: str, host: str) -> str:
    if code in _NOT_VALID_NOW:
        # The certificate itself is checked with the settings.
        return f"The authority of {certificate} is not valid now, so no connection would succeed. Replace it."
    if code in _UNKNOWN_AUTHORITY and authorities:
        return (
            f"The certificate {certificate} is not from an authority in {authorities}, so the services would refuse "
            "each other. Set SEMSEARCH_TLS_CA (--tls-ca) to the file with its authority."
        )
    if code in _UNKNOWN_AUTHORITY:
        return (
            f"The certificate {certificate} is not from an authority that gRPC trusts by itself, so the services would "
            "refuse each other. Set SEMSEARCH_TLS_CA (--tls-ca) to the file with its authority; `semsearch certs make` "
            "writes ca.crt beside it."
        )
    if code in _OTHER_HOSTS:
        return (
            f"The certificate {certificate} is not for {host}, so the gateway would refuse it. Set "
            "SEMSEARCH_TLS_SERVER_NAME (--tls-server-name) to a name that it has."
        )
    return ""


def _refusal(certificate: str, key: str, roots: Path, host: str) -> int:
    """Return why a caller with `roots` refuses a certificate, as OpenSSL's code; 0 if it does not."""
    caller, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    caller.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as gRPC has it
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        caller.load_verify_locations(roots)
        server.load_cert_chain(certificate, key)
        sides = (
            caller.wrap_bio(down, up, server_hostname=host),
            server.wrap_bio(up, down, server_side=True),
        )
        # The server's certificate arrives in its first answer, which the caller reads in its second step.
        for side in (*sides, *sides):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLCertVerificationError as error:
        return error.verify_code
    except (OSError, ValueError):  # the real handshake will say more
        return 0
    return 0


def _bundled_roots() -> Path:
    """Return the file with the authorities that come with gRPC."""
    return Path(grpc.__file__).parent / "_cython" / "_credentials" / "roots.pem"
