"""What the gateways of one index share beside it, as the core sees it: leases and small records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class LeaseState:
    """A lease: who holds it, or held it last, and whether it is free."""

    number: int
    holder: str
    address: str
    is_free: bool


class Leases(Protocol):
    """Grants leases. Every method raises `DependencyUnavailable` or `TimeoutError` if the service does not answer."""

    async def acquire(
        self, name: str, holder: str, address: str, ttl_seconds: float, ended_holder: str
    ) -> tuple[bool, LeaseState]:
        """Return whether the lease was granted, and the lease as it is now; nobody waits for `ended_holder`."""

    async def renew(self, name: str, number: int) -> None:
        """Extend a lease by its ttl; raises `OwnerChanged` if it is not held under this number any more."""

    async def release(self, name: str, number: int) -> None:
        """End a lease at once, if it is held under this number."""

    def watch(self, name: str) -> AsyncIterator[LeaseState]:
        """Yield a lease as it is now, and whenever it is granted or becomes free; ends after some minutes."""


class Records(Protocol):
    """Keeps small values, at most 64 KiB each. Raises errors as `Leases` does, and `Refused`."""

    async def read(self, name: str) -> bytes:
        """Return a value; b"" if none was written."""

    async def write(self, name: str, value: bytes) -> None:
        """Replace a value, whatever it was: only the owner may do this. It is durable when this returns."""

    async def write_first(self, name: str, value: bytes) -> bytes:
        """Write a value, unless there is one already; return the value that is there now."""
