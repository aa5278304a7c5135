"""A number of bytes that all calls of a process share, so that many callers cannot fill its memory.

What counts images or items bounds no memory: one may have a byte or 32 MiB.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ByteBudget", "ByteShare", "TooManyBytes"]


class TooManyBytes(Exception):
    """So much is being worked on that what came does not fit beside it."""

    def __init__(self, taken: int, limit: int) -> None:
        super().__init__(
            f"Calls with {taken:,} bytes are being worked on, and at most {limit:,} bytes are at once. "
            "Try again in a moment."
        )


class ByteBudget:
    """Bytes that are taken when work arrives and given back when it is done; used on one event loop.

    Invariants:
    - At most `limit` bytes are taken. What is larger than that is let in alone.
    - Those who wait are served in the order in which they came, however small the later ones are.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def taken(self) -> int:
        """The bytes that are taken."""
        return self._taken

    async def take(self, size: int) -> None:
        """Wait until it is this caller's turn and `size` bytes are free, and take them."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was served in the same moment
                self.give_back(size)
            else:
                turn.cancel()
                self._serve()
            raise

    @contextmanager
    def taken_at_once(self, size: int) -> Iterator[None]:
        """Take `size` bytes for the length of a `with`.

        Raises:
            TooManyBytes: they are not free, or others wait for theirs.
        """
        if self._waiting or not self._has_room(size):
            raise TooManyBytes(self._taken, self._limit)
        self._taken += size
        try:
            yield
        finally:
            self.give_back(size)

    @contextmanager
    def share(self) -> Iterator[ByteShare]:
        """Open the share of a stream for the length of a `with`; in the end all of it is given back."""
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
        """Let in those who wait, from the first to come to the first who does not fit."""
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.cancelled():
                if not self._has_room(size):
                    return
                self._taken += size
                turn.set_result(None)
            self._waiting.popleft()


class ByteShare:
    """What one stream has taken of a budget."""

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

    def give_back(self, size: int) -> None:
        """Give back bytes; what is left of the work of a stream that has ended has none."""
        size = min(size, self._taken)
        self._taken -= size
        self._budget.give_back(size)
