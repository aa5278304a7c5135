"""The address behind a connection, as a name for callers that have no other."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote

# What one subscriber usually has; a single host can send from each of its addresses.
_IPV6_PREFIX = 64


def address_of(peer: str) -> str:
    """Return the address of a peer as gRPC ("ipv6:[::1]:50051") or HTTP ("::1:50051") writes it, without its port.

    IPv6 addresses count as their network. What is not an IP address is returned as it is.
    """
    text = unquote(peer)
    for scheme in ("ipv4:", "ipv6:"):
        text = text.removeprefix(scheme)
    host, _, _ = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)
