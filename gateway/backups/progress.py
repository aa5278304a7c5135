"""How far a backup or a restore is, and running one while its progress is watched."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog

from gateway.backends.refusals import SnapshotEnded
from gateway.backups.errors import BackupPlaceUnavailable
from gateway.errors import DependencyUnavailable

REPORT_SECONDS = 0.25
# A service that starts again is waited for, as long as there was progress within this time.
PATIENCE_SECONDS = 60.0
_RETRY_SECONDS = 1.0
# Objects that are copied at the same time: each waits for a disk or for an answer.
AT_ONCE = 16

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Stage(enum.Enum):
    """What is being done."""

    INDEXES = enum.auto()
    MODELS = enum.auto()
    IMAGES = enum.auto()
    ALIASES = enum.auto()
    CHECKING = enum.auto()


@dataclass
class Tally:
    """Counts what is done; `bytes_copied` leaves out what was there already. Totals are 0 as long as unknown."""

    stage: Stage = Stage.INDEXES
    bytes_done: int = 0
    bytes_copied: int = 0
    bytes_total: int = 0
    images_done: int = 0
    images_total: int = 0
    images_missing: int = 0
    log_bytes: int = 0
    backup_id: str = ""

    def begin_again(self) -> None:
        """Count from the start, except for what was copied."""
        self.stage = Stage.INDEXES
        self.bytes_done = self.bytes_total = self.images_done = self.images_total = self.images_missing = 0

    def count(self, size: int, *, copied: bool) -> None:
        """Count an object."""
        self.bytes_done += size
        self.bytes_copied += size if copied else 0


async def watched(work: Coroutine[Any, Any, None], tally: Tally) -> AsyncGenerator[Tally, None]:
    """Do some work; yield what it has done, and all of it at the end. If the generator is closed, it is cancelled."""
    task = asyncio.create_task(work)
    try:
        while not task.done():
            yield replace(tally)
            await asyncio.wait([task], timeout=REPORT_SECONDS)
        task.result()
        yield replace(tally)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def persistently(work: Callable[[], Awaitable[T]], tally: Tally) -> T:
    """Do some work again while services or the place do not answer, until there is no progress for a while.

    An attempt makes progress if it copies something, or gets further than all before it.
    """
    copied, furthest, since = tally.bytes_copied, tally.bytes_done, time.monotonic()
    while True:
        try:
            return await work()
        except (DependencyUnavailable, BackupPlaceUnavailable, SnapshotEnded, TimeoutError) as error:
            if tally.bytes_copied > copied or tally.bytes_done > furthest:
                copied, furthest, since = tally.bytes_copied, max(furthest, tally.bytes_done), time.monotonic()
            elif time.monotonic() - since > PATIENCE_SECONDS:
                raise
            log.warning("a backup or restore begins again; what is copied stays", problem=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
            tally.begin_again()


async def at_once(work: Callable[[T], Awaitable[None]], items: AsyncIterable[T]) -> None:
    """Do some work for each item, for a limited number of them at the same time."""
    running: set[asyncio.Task[None]] = set()
    try:
        async for item in items:
            running.add(asyncio.ensure_future(_awaited(work(item))))
            if len(running) >= AT_ONCE:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
        for each in tuple(running):
            await each
    finally:
        for each in running:
            each.cancel()
        if running:
            await asyncio.wait(running)


async def _awaited(work: Awaitable[None]) -> None:
    await work
