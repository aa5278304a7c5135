"""Reach a service of this machine from another process of it, for its health.

The address is a loopback address, for which the certificate need not be. So the service is expected to show exactly
the certificate that its settings name, under a name that is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import grpc

from serving.tls import CertificateFiles
from serving.tls_settings import TlsSettings


def open_own_channel(
    address: str, settings: TlsSettings | None, options: Sequence[tuple[str, int | str]] = ()
) -> grpc.Channel:
    """Open a channel to a service that runs with `settings`; without settings, or a certificate, it is plaintext.

    Raises:
        CertificateError: The files cannot be used.
    """
    if settings is None or not settings.tls_cert:
        return grpc.insecure_channel(address, list(options))
    own = CertificateFiles(Path(settings.tls_cert), Path(settings.tls_key)).current
    names = [("grpc.ssl_target_name_override", name) for name in own.names[:1]]
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(own.chain, own.key, own.chain), [*options, *names])
