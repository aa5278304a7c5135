"""Changes wait for the next owner while the former one does not answer."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from gateway.api.owner import Owner
from gateway.lease import Term, now
from serving.channels import Channels
from tests.unit.gateway.core import until

CONNECTING = grpc.ChannelConnectivity.CONNECTING


class Elsewhere:
    """A lease that another gateway holds."""

    is_known = True

    def __init__(self, address: str) -> None:
        self.address = address
        self.granted = asyncio.Event()

    def holder(self) -> str:
        return self.address

    async def next_grant(self) -> None:
        await self.granted.wait()
        self.granted.clear()


async def test_a_change_that_waits_for_the_former_owner_goes_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than gRPC takes to notice that a channel is closed.
    monkeypatch.setattr("gateway.api.owner.POLL_SECONDS", 0.5)
    terms: Any = SimpleNamespace(serving=SimpleNamespace(term=Term()))
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as silent:  # as a suspended process: it is connected to, and says nothing
        lease: Any = Elsewhere(f"127.0.0.1:{silent.getsockname()[1]}")
        async with Owner(lease, terms, Channels(2**20), patience_seconds=60.0) as owner, asyncio.timeout(20):
            keeping_up = asyncio.create_task(owner.keep_up())
            waiting = [asyncio.create_task(owner.find()) for _ in range(3)]
            await until(lambda: owner._open is not None and owner._open.get_state() is CONNECTING)
            lease.address = ""
            lease.granted.set()
            await until(lambda: owner._open is None)
            await asyncio.wait(waiting, timeout=0.6)  # the calls notice that their channel is closed, and wait on
            terms.serving.term = own = Term(1, until=now() + 60.0)
            assert await asyncio.gather(*waiting) == [own] * 3
            keeping_up.cancel()
