"""The progress of one map computation, for the clients that watch it."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.errors import GatewayError


class Stage(enum.Enum):
    """What a computation is doing."""

    WAITING = enum.auto()
    READING = enum.auto()
    NEIGHBORS = enum.auto()
    LAYOUT = enum.auto()
    WORDS = enum.auto()


# Where each stage begins and ends in the whole work, as measured with 100,000 images.
_SHARES = {
    Stage.WAITING: (0.0, 0.0),
    Stage.READING: (0.0, 0.03),
    Stage.NEIGHBORS: (0.03, 0.25),
    Stage.LAYOUT: (0.25, 0.98),
    Stage.WORDS: (0.98, 1.0),
}
# Below this fraction, an estimate is mere noise.
_ESTIMATE_FROM = 0.04


@dataclass(frozen=True)
class MapProgress:
    """The progress of a computation; `revision` changes with each new map, `remaining_seconds` is an estimate."""

    stage: Stage
    fraction: float
    remaining_seconds: float | None
    revision: str


class MapRun:
    """A computation: its progress, and its end."""

    def __init__(self, collection: str) -> None:
        self.collection = collection
        self._stage = Stage.WAITING
        self._fraction = 0.0
        self._revision = ""
        self._begin = 0.0
        self._ended = False
        self._error: GatewayError | None = None
        self._changed = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether it is done, has failed or was cancelled."""
        return self._ended

    @property
    def progress(self) -> MapProgress:
        """The current progress."""
        left = None
        if self._fraction >= _ESTIMATE_FROM:
            left = (time.monotonic() - self._begin) * (1 - self._fraction) / self._fraction
        return MapProgress(self._stage, self._fraction, left, self._revision)

    def advance(self, stage: Stage, share: float) -> None:
        """Record the share of a stage that is done."""
        if self._stage is Stage.WAITING:
            self._begin = time.monotonic()
        first, last = _SHARES[stage]
        self._stage, self._fraction = stage, first + (last - first) * min(share, 1.0)
        self._notify()

    def show(self, revision: str) -> None:
        """Record that there is a new map."""
        self._revision = revision
        self._notify()

    def end(self, error: GatewayError | None = None) -> None:
        """Record that the final map is written, or the error that ended the computation."""
        self._ended, self._error = True, error
        self._notify()

    async def watch(self) -> AsyncIterator[MapProgress]:
        """Yield the progress, now and after each change, until the end; a slow caller gets only the newest.

        Raises:
            GatewayError: it failed or was cancelled.
        """
        while not self._ended:
            changed = self._changed
            yield self.progress
            await changed.wait()
        if self._error is not None:
            raise self._error

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
