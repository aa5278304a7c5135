"""The bytes of request bodies over HTTP in memory: bounded over all requests, and for each address.

A body over HTTP/1.1 is collected before its method runs, and nothing holds it back: 512 connections with 64 MiB each
would be 32 GiB.

A body takes its bytes as they arrive, so a request that only announces many takes none. Once a message is decoded, the
bytes that it was decoded from are those of the body: more than arrived, if they were compressed. A stream holds one
message at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from serving.byte_budget import ByteBudget, ByteShare
from serving.quotas.peers import address_of

# Values of a JSON message: Python needs 5 µs and 100 bytes for each, of which some 4 kB that were compressed can have
# 20 million.
MAX_JSON_VALUES = 250_000


@dataclass
class _Address:
    budget: ByteBudget
    requests: int = 0


class Body:
    """One request's body."""

    def __init__(self, *shares: ByteShare) -> None:
        self._shares = shares

    def take(self, size: int) -> None:
        """Take bytes that arrived; raises `TooManyBytes`."""
        for share in self._shares:
            share.take_at_once(size)

    def hold(self, size: int) -> None:
        """Hold this many bytes from now on, more or fewer than before; raises `TooManyBytes`."""
        for share in self._shares:
            if size > share.taken:
                share.take_at_once(size - share.taken)
            else:
                share.give_back(share.taken - size)


class Bodies:
    """The bodies of all requests; an address may hold half of `limit`, so that no single one can fill it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._all = ByteBudget(limit)
        self._addresses: dict[str, _Address] = {}

    @property
    def taken(self) -> int:
        """The bytes of all bodies."""
        return self._all.taken

    @contextmanager
    def body(self, peer: str) -> Iterator[Body]:
        """Open a request's body for the duration of a `with` block; `hold` is about it there."""
        name = address_of(peer)
        address = self._addresses.setdefault(name, _Address(ByteBudget(self._limit // 2)))
        address.requests += 1
        try:
            with self._all.share() as of_all, address.budget.share() as of_address:
                body = Body(of_all, of_address)
                token = _current.set(body)
                try:
                    yield body
                finally:
                    _current.reset(token)
        finally:
            address.requests -= 1
            if not address.requests:
                del self._addresses[name]


_current: ContextVar[Body | None] = ContextVar("http_body", default=None)


def hold(size: int) -> None:
    """Have the current request's body, if there is one, hold this many bytes; raises `TooManyBytes`."""
    if (body := _current.get()) is not None:
        body.hold(size)
