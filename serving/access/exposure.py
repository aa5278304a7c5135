"""Whether a service may listen where it is set to listen.

Beyond the machine itself, calls must be encrypted and their callers known. Where neither matters, because only trusted
machines reach the network, the operator says so with `insecure`.
"""

from __future__ import annotations

import ipaddress

from serving.settings import ServiceSettings

GUIDE = "docs/guides/who-may-call.md"


class Exposed(Exception):
    """The service would be open to other machines."""

    def __init__(self, settings: ServiceSettings, missing: dict[str, str]) -> None:
        super().__init__(
            f"The {settings.service} would listen on {settings.host}, where other machines may reach it, "
            f"{' and '.join(missing)}: whoever reaches it could read and change everything. Set "
            f"{' and '.join(missing.values())}, or listen on 127.0.0.1. On a network that only machines you trust "
            f"reach, set {settings.variable('insecure')}=true (--insecure). {GUIDE} has the steps."
        )


def check_exposure(settings: ServiceSettings) -> None:
    """Check that the service is not open to other machines by oversight.

    Raises:
        Exposed: It is.
    """
    if settings.insecure or is_loopback(settings.host):
        return
    missing = {}
    if not settings.tls_cert:
        missing["without encryption"] = f"{settings.variable('tls_cert')} (`semsearch certs` makes certificates)"
    if not settings.knows_callers:
        missing["without knowing its callers"] = f"{settings.variable('tokens')} (`semsearch token create` makes one)"
    if missing:
        raise Exposed(settings, missing)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host."""
    name = host.removeprefix("[").removesuffix("]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
