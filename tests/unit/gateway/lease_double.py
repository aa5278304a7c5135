"""A lease service in memory, which may be away or grant the lease to somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gateway.backends.coordination import LeaseState
from gateway.errors import DependencyUnavailable, GatewayError, OwnerChanged


class MemoryLeases:
    """`Leases` of one name; nothing expires by itself."""

    def __init__(self) -> None:
        self.state = LeaseState(0, "", "", is_free=True)
        self.is_away = False
        self.renewals = 0
        self.refusals: list[GatewayError] = []  # of watches to come
        self._changed = asyncio.Event()

    async def acquire(
        self, name: str, holder: str, address: str, ttl_seconds: float, ended_holder: str
    ) -> tuple[bool, LeaseState]:
        self._check_is_here()
        if not self.state.is_free and self.state.holder not in (holder, ended_holder):
            return False, self.state
        self.set(LeaseState(self.state.number + 1, holder, address, is_free=False))
        return True, self.state

    async def renew(self, name: str, number: int) -> None:
        self._check_is_here()
        if number != self.state.number or self.state.is_free:
            raise OwnerChanged
        self.renewals += 1

    async def release(self, name: str, number: int) -> None:
        if number == self.state.number:
            self.set(LeaseState(number, "", "", is_free=True))

    async def watch(self, name: str) -> AsyncIterator[LeaseState]:
        if self.refusals:
            raise self.refusals.pop()
        while True:
            self._check_is_here()
            changed = self._changed
            yield self.state
            await changed.wait()

    def set(self, state: LeaseState) -> None:
        self.state = state
        self._wake()

    def go_away(self) -> None:
        self.is_away = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _check_is_here(self) -> None:
        if self.is_away:
            raise DependencyUnavailable("index")
