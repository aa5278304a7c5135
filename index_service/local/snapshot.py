"""Snapshots: an immutable view of all rows in memory, which a version ties to the store.

Invariants:
- A row number is in exactly one part: one of the segments, or the live rows. Within a part, row numbers ascend.
- In a snapshot of version v, exactly the rows that commit v left in the store are alive. Committing and publishing are
  two steps, so a reader first pins a version in the store and then gets the snapshot of it (`Published.at`).
- Nothing that a snapshot refers to changes. Snapshots share the buffer in which live rows grow, and each uses it only
  up to its own length.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from index_service.engines.contract import Searcher
from index_service.engines.exact import ExactSearcher
from index_service.vectors import Mask, Vectors

Rows: TypeAlias = NDArray[np.int64]
P = TypeVar("P", bound="Part")

_HISTORY = 64
_FIRST_CAPACITY = 256
_PUBLISH_SECONDS = 30.0


@dataclass(frozen=True, eq=False)
class Part:
    """Rows that are searched together: `rows` (n,) ascending, `vectors` (n, dimension), `alive` (n,)."""

    rows: Rows
    vectors: Vectors
    alive: Mask
    searcher: Searcher

    @cached_property
    def alive_count(self) -> int:
        """The number of rows that are not deleted."""
        return int(np.count_nonzero(self.alive))

    @property
    def dead_count(self) -> int:
        """The number of deleted rows."""
        return len(self.rows) - self.alive_count

    def mask(self, rows: Rows) -> Mask:
        """Mark the positions in this part whose rows are among `rows`."""
        marked = np.zeros(len(self.rows), dtype=np.bool_)
        if len(self.rows) and len(rows):
            at = np.searchsorted(self.rows, rows)
            at[at == len(self.rows)] = 0
            marked[at[self.rows[at] == rows]] = True
        return marked


@dataclass(frozen=True, eq=False)
class Segment(Part):
    """A part whose vectors and engine files are in the folder `name` and never change."""

    name: str


class _Buffer:
    """Space for rows. Only the snapshot that ends at `used` may append; earlier ones keep their rows."""

    def __init__(self, capacity: int, dimension: int) -> None:
        self.rows: Rows = np.empty(capacity, dtype=np.int64)
        self.vectors: Vectors = np.empty((capacity, dimension), dtype=np.float32)
        self.used = 0


@dataclass(frozen=True, eq=False)
class LiveRows(Part):
    """Rows that no segment holds yet."""

    _buffer: _Buffer

    @classmethod
    def of(cls, rows: Rows, vectors: Vectors, alive: Mask) -> LiveRows:
        """Copy rows into a buffer with space for at least as many again."""
        buffer = _Buffer(max(_FIRST_CAPACITY, 2 * len(rows)), vectors.shape[1])
        return cls._fill(buffer, 0, rows, vectors, alive)

    def appended(self, rows: Rows, vectors: Vectors) -> LiveRows:
        """Return these rows followed by further ones with higher numbers."""
        alive = np.concatenate([self.alive, np.ones(len(rows), dtype=np.bool_)])
        count = len(self.rows)
        if self._buffer.used == count and count + len(rows) <= len(self._buffer.rows):
            return self._fill(self._buffer, count, rows, vectors, alive)
        return self.of(np.concatenate([self.rows, rows]), np.concatenate([self.vectors, vectors]), alive)

    def after(self, count: int) -> LiveRows:
        """Return the rows from position `count` on."""
        return self.of(self.rows[count:], self.vectors[count:], self.alive[count:])

    @classmethod
    def _fill(cls, buffer: _Buffer, start: int, rows: Rows, vectors: Vectors, alive: Mask) -> LiveRows:
        end = start + len(rows)
        buffer.rows[start:end] = rows
        buffer.vectors[start:end] = vectors
        buffer.used = end
        held = buffer.vectors[:end]
        return cls(buffer.rows[:end], held, alive, ExactSearcher(held), buffer)


@dataclass(frozen=True, eq=False)
class Changes:
    """The changes of a commit: rows added, (m,) ascending with vectors (m, dimension), and rows removed."""

    version: int
    added: Rows
    vectors: Vectors
    removed: Rows


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All rows as of one commit."""

    version: int
    segments: tuple[Segment, ...]
    live: LiveRows

    @property
    def parts(self) -> Sequence[Part]:
        """The segments and the live rows."""
        return (*self.segments, self.live)

    @property
    def alive_count(self) -> int:
        """The number of rows that are not deleted, which is the number of items."""
        return sum(part.alive_count for part in self.parts)

    def after(self, changes: Changes) -> Snapshot:
        """Return the snapshot after a commit."""
        live = self.live.appended(changes.added, changes.vectors) if len(changes.added) else self.live
        if not len(changes.removed):
            return Snapshot(changes.version, self.segments, live)
        segments = tuple(_without(segment, changes.removed) for segment in self.segments)
        return Snapshot(changes.version, segments, _without(live, changes.removed))


def _without(part: P, removed: Rows) -> P:
    marked = part.mask(removed)
    return replace(part, alive=part.alive & ~marked) if marked.any() else part


class Published:
    """The newest snapshot and the few before it, for readers that pinned an older version."""

    def __init__(self, first: Snapshot) -> None:
        self._changed = threading.Condition()
        self._history = deque([first], maxlen=_HISTORY)

    @property
    def newest(self) -> Snapshot:
        """The newest snapshot."""
        return self._history[-1]

    def update(self, change: Callable[[Snapshot], Snapshot]) -> None:
        """Replace the newest snapshot by the result of `change`; one change runs at a time."""
        with self._changed:
            self._history.append(change(self._history[-1]))
            self._changed.notify_all()

    def forget_older(self) -> None:
        """Release all snapshots but the newest: after a merge, older ones hold segments that were removed."""
        with self._changed:
            newest = self._history[-1]
            self._history.clear()
            self._history.append(newest)

    def at(self, version: int) -> Snapshot | None:
        """Return the newest snapshot of a version, waiting until it is published; None if it is no longer kept.

        Raises:
            TimeoutError: the version was not published in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._history[-1].version >= version, _PUBLISH_SECONDS):
                raise TimeoutError
            return next((each for each in reversed(self._history) if each.version == version), None)
