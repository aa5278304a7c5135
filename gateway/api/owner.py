"""Reach the owner: the gateway process that makes all changes (see `gateway.lease`)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType

import grpc
import grpc.aio
import structlog

from gateway.errors import DependencyUnavailable
from gateway.lease import POLL_SECONDS, OwnerLease, Term
from gateway.terms import Terms
from serving.channels import Channels

# Its name in messages.
OWNER = "gateway process that makes changes"
# While the index does not answer, nobody knows the owner; it may just be starting again.
_INDEX_PATIENCE_SECONDS = 2.0

log = structlog.get_logger(__name__)


class Owner:
    """Finds the owner, and keeps a channel to it; waits at most `patience_seconds` for the next one."""

    def __init__(self, lease: OwnerLease, terms: Terms, channels: Channels, patience_seconds: float) -> None:
        self._lease = lease
        self._terms = terms
        self._channels = channels
        self._patience_seconds = patience_seconds
        self._address = ""
        self._open: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Owner:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._open is not None:
            await self._open.close()

    @property
    def term(self) -> Term | None:
        """The term in which this process makes changes; None if it is not the owner."""
        term = self._terms.serving.term
        return term if term.is_held else None

    async def find(self) -> grpc.aio.Channel | Term:
        """Return the term if this process is, or became, the owner; else a connected channel to the owner.

        The connection is awaited before the call, so a call is sent at most once. A change that was sent and not
        answered may have been made, and only the caller knows whether to repeat it.

        Raises:
            DependencyUnavailable: No process became the owner in time, or it does not answer.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        while (term := self.term) is None:
            channel = await self._to(self._lease.holder())
            if channel is not None:
                state = channel.get_state(try_to_connect=True)
                if state is grpc.ChannelConnectivity.READY:
                    return channel
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await channel.wait_for_state_change(state)
            else:
                await asyncio.sleep(POLL_SECONDS)
            waited = clock() - began
            if not self._lease.is_known and waited > _INDEX_PATIENCE_SECONDS:
                raise DependencyUnavailable("index")
            if waited > self._patience_seconds:
                raise DependencyUnavailable(OWNER)
        return term

    async def keep_up(self) -> None:
        """End calls to a former owner as soon as there is another, because it may never answer; run until cancelled."""
        number = 0
        while True:
            number = await self._lease.next_grant(number)
            await self._to(self._lease.holder())

    async def _to(self, address: str) -> grpc.aio.Channel | None:
        if address != self._address:
            if address:
                log.info("another process makes changes", address=address)
            former, self._address = self._open, address
            self._open = self._channels.open(address, retry=False) if address else None
            if former is not None:
                await former.close()
        return self._open
