"""The clock by which a replica measures ages: its own, which no one sets, and which counts while the machine sleeps."""

from __future__ import annotations

import time
from collections import deque

from index_service.replication.records import Beat, Head

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_KEPT = 64


def now() -> float:
    """Return seconds since some moment in the past."""
    return time.clock_gettime(_CLOCK)


class Sightings:
    """When heads were looked for, and which were found; from this follows how old a beat is at most.

    A head with beat n names an earlier beat m (`Head.after`) that was stored before n began. If a request that began at
    time t found a beat before m, then m was stored after t; so n began after t, and includes everything acknowledged by
    t. No clocks of two machines are compared, so they may differ by any amount.
    """

    def __init__(self) -> None:
        # For each beat, the start of the last request that found it; ascending.
        self._found: deque[tuple[Beat, float]] = deque(maxlen=_KEPT)

    def add(self, beat: Beat, requested: float) -> None:
        """Record that a request that began at `requested` found a beat, which is not before those found so far."""
        if self._found and self._found[-1][0] == beat:
            self._found.pop()
        self._found.append((beat, requested))

    def held_at(self, head: Head) -> float | None:
        """Return a time at which nothing was acknowledged that a head lacks; None if none is known."""
        if head.after == 0:
            return None
        stored = head.beat._replace(number=head.after)
        return next((requested for beat, requested in reversed(self._found) if beat < stored), None)
