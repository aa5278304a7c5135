"""Reach the owner: the gateway process that makes all changes (see `gateway.lease`)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType

import grpc
import grpc.aio
import structlog

from gateway.errors import DependencyUnavailable
from gateway.lease import POLL_SECONDS, Lease
from serving.channels import open_channel

# Its name in messages.
OWNER = "gateway process that makes changes"

log = structlog.get_logger(__name__)


class Owner:
    """Finds the owner, and keeps a channel to it; waits at most `patience_seconds` for the next one."""

    def __init__(self, lease: Lease, max_message_bytes: int, patience_seconds: float) -> None:
        self._lease = lease
        self._max_message_bytes = max_message_bytes
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
    def is_here(self) -> bool:
        """Whether this process is the owner."""
        return self._lease.is_held

    async def channel(self) -> grpc.aio.Channel | None:
        """Return a connected channel to the owner; None if this process is, or became, the owner.

        The connection is awaited before the call, so a call is sent at most once. A change that was sent and not
        answered may have been made, and only the caller knows whether to repeat it.

        Raises:
            DependencyUnavailable: No process became the owner in time, or it does not answer.
        """
        clock = asyncio.get_running_loop().time
        give_up = clock() + self._patience_seconds
        while not self.is_here:
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
            if clock() > give_up:
                raise DependencyUnavailable(OWNER)
        return None

    async def _to(self, address: str) -> grpc.aio.Channel | None:
        if address != self._address:
            log.info("another process makes changes", address=address)
            former, self._address = self._open, address
            self._open = (
                open_channel(address, max_message_bytes=self._max_message_bytes, retry=False) if address else None
            )
            if former is not None:
                await former.close()
        return self._open
