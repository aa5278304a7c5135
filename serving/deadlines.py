"""The deadline of the call at hand, which calls made for it must keep too."""

from __future__ import annotations

import time
from contextvars import ContextVar

_end: ContextVar[float | None] = ContextVar("deadline", default=None)


def begin(seconds: float | None) -> None:
    """Take over what is left of the caller's time; None where the caller set no deadline."""
    _end.set(None if seconds is None else time.monotonic() + seconds)


def cap(seconds: float) -> float:
    """Return how long a call may take that is made for the one at hand and should take at most `seconds`."""
    end = _end.get()
    return seconds if end is None else max(0.0, min(seconds, end - time.monotonic()))
