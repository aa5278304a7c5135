"""A byte budget that all calls of a process share, so that many callers cannot fill its memory.

A limit on images or items does not bound memory: one may have a single byte or 32 MiB.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class TooManyBytes(Exception):
    """The work in progress leaves no room for more bytes."""

    def __init__(self, taken: int, limit: int) -> None:
        super().__init__(
            f"Calls with {taken:,} bytes are in progress, and the limit is {limit:,} bytes. Try again in a moment."
        )


class ByteBudget:
    """A budget of bytes, taken when work arrives and given back when it is done; for one event loop.

    Invariants:
    - At most `limit` bytes are taken. Work larger than that is admitted alone.
    - Waiting callers are served first come, first served, however small the later ones are.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def taken(self) -> int:
        """The bytes that are taken."""
        return self._taken

    def resize(self, limit: int) -> None:
        """Change the limit; bytes that are taken stay taken."""
        self._limit = limit
        self._serve()

    async def take(self, size: int) -> None:
        """Wait until it is this caller's turn and `size` bytes are free, and take them."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was served at the same moment
                self.give_back(size)
            else:
                turn.cancel()
                self._serve()
            raise

    @contextmanager
    def taken_at_once(self, size: int) -> Iterator[None]:
        """Take `size` bytes for the duration of a `with` block, without waiting.

        Raises:
            TooManyBytes: The bytes are not free, or other callers are waiting.
        """
        self.take_at_once(size)
        try:
            yield
        finally:
            self.give_back(size)

    def take_at_once(self, size: int) -> None:
        """Take `size` bytes without waiting.

        Raises:
            TooManyBytes: The bytes are not free, or other callers are waiting.
        """
        if self._waiting or not self._has_room(size):
            raise TooManyBytes(self._taken, self._limit)
        self._taken += size

    @contextmanager
    def share(self) -> Iterator[ByteShare]:
        """Open a stream's share for the duration of a `with` block; at the end, all of it is given back."""
        share = ByteShare(self)
        try:
            yield share
        finally:
            share.give_back(share.taken)

    def give_back(self, size: int) -> None:
        """Give back bytes that were taken."""
        self._taken -= size
        self._serve()

    def _has_room(self, size: int) -> bool:
        return not self._taken or self._taken + size <= self._limit

    def _serve(self) -> None:
        """Admit waiting callers in order, up to the first that does not fit."""
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.cancelled():
                if not self._has_room(size):
                    return
                self._taken += size
                turn.set_result(None)
            self._waiting.popleft()


class ByteShare:
    """One stream's share of a budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._taken = 0

    @property
    def taken(self) -> int:
        """The bytes that the stream has taken."""
        return self._taken

    async def take(self, size: int) -> None:
        """Wait for the stream's turn and for `size` bytes, and take them."""
        await self._budget.take(size)
        self._taken += size

    def take_at_once(self, size: int) -> None:
        """Take `size` bytes without waiting; raises `TooManyBytes` if they are not free."""
        self._budget.take_at_once(size)
        self._taken += size

    def give_back(self, size: int) -> None:
        """Give back bytes; has no effect once the stream has ended."""
        size = min(size, self._taken)
        self._taken -= size
        self._budget.give_back(size)
