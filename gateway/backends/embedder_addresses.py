"""Where the embedders are: what the setting may be, and the address of each embedder.

The setting is one address (`host:port`), a name that stands for all of them (`dns:///name:port`), or a list of IP
addresses with commas between them. gRPC knows no lists of names.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass

_PREFIX = "dns:///"
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")


@dataclass(frozen=True)
class EmbedderAddresses:
    """The addresses of a setting; `parse` checks them.

    `target` is what gRPC calls all of them. `several` is whether there may be more than one.
    """

    target: str
    several: bool
    listed: tuple[str, ...] = ()
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> EmbedderAddresses:
        """Read a setting.

        Raises:
            ValueError: It is none of the forms.
        """
        if text.startswith(_PREFIX):
            name = text.removeprefix(_PREFIX)
            _split(name)
            return cls(text, several=True, name=name)
        listed = tuple(each.strip() for each in text.split(",") if each.strip())
        parts = [_split(each) for each in listed or [""]]
        if len(listed) == 1:
            return cls(listed[0], several=False, listed=listed)
        try:
            versions = {ipaddress.ip_address(host.strip("[]")).version for host, _ in parts}
        except ValueError:
            versions = set()
        if len(versions) != 1:
            raise ValueError(
                "a list has IP addresses of one version, such as 10.0.0.1:50052,10.0.0.2:50052; for embedders with "
                "names, let one name stand for all of them: dns:///name:port"
            )
        return cls(f"ipv{versions.pop()}:{','.join(listed)}", several=True, listed=listed)

    @property
    def host(self) -> str:
        """The name that stands for all embedders, and that their certificates have; "" if there is none."""
        return _split(self.name)[0] if self.name else ""

    async def look_up(self) -> frozenset[str]:
        """Return the address of each embedder.

        Raises:
            OSError: The name cannot be looked up.
        """
        if not self.name:
            return frozenset(self.listed)
        host, port = _split(self.name)
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        return frozenset(
            f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"
            for family, *_, address in found
        )


def _split(address: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[2]) > 65_535:
        raise ValueError(f"{address or 'an empty text'} is not an address; one is host:port, or dns:///name:port")
    return match[1], int(match[2])
