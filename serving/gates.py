"""The gates that a call passes before its method runs, whichever protocol carries it.

Gates stand in a fixed order (`serving.server`). Each may refuse a call by raising an error that has a status; a call
that is refused reaches neither the gates behind it nor the method.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

# How often a message that waits is checked again: its quota may be raised meanwhile, or be used up.
_SECONDS_BETWEEN_CHECKS = 1.0


@dataclass(frozen=True)
class Call:
    """A call as a gate sees it.

    Attributes:
        service: The service's full name.
        method: The method's name.
        metadata: Text metadata, or the headers of HTTP, by name in lower case; of a repeated name the last.
        peer: The address of the other end of the connection.
        seconds: How long the caller waits; None if it set no deadline.
        is_stream: Whether the method streams, in either direction.
    """

    service: str
    method: str
    metadata: Mapping[str, str]
    peer: str
    seconds: float | None = None
    is_stream: bool = False


class Gate(Protocol):
    """Decides about calls."""

    def enter(self, call: Call) -> AbstractAsyncContextManager[None]:
        """Return a context around the call; entering it raises if the call is refused."""
        ...

    def check(self, call: Call, request: Any) -> None:
        """Raise if the call is refused for a request message; each message passes before the method sees it.

        A message of a stream waits if `NotYet` is raised, and is then checked again.
        """
        ...


class GateAfterRequest:
    """A gate that a call passes only once its request has arrived, because there it takes a place from others."""


class NotYet(Exception):
    """A call comes too early, and is admitted in `seconds`."""

    seconds: float


class Passage:
    """The gates in front of a method."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = gates

    @asynccontextmanager
    async def enter(self, call: Call, arrive: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[None]:
        """Pass the gates, in order; raises what a gate raises.

        `arrive` waits until the call's request has arrived, if it has one request.
        """
        async with AsyncExitStack() as stack:
            for gate in self._gates:
                if arrive is not None and isinstance(gate, GateAfterRequest):
                    await arrive()
                await stack.enter_async_context(gate.enter(call))
            yield

    def checked(self, call: Call, request: Any) -> Any:
        """Return a request, or a stream's requests, each of which passes the gates; raises what a gate raises."""
        if isinstance(request, AsyncIterator):
            return self._each_checked(call, request)
        for gate in self._gates:
            gate.check(call, request)
        return request

    async def _each_checked(self, call: Call, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            for gate in self._gates:
                await _admit(gate, call, request)
            yield request


async def _admit(gate: Gate, call: Call, request: Any) -> None:
    """Have a message of a stream pass a gate, and wait if it comes too early: nothing more is read meanwhile."""
    while True:
        try:
            return gate.check(call, request)
        except NotYet as refused:
            await asyncio.sleep(min(refused.seconds, _SECONDS_BETWEEN_CHECKS))
