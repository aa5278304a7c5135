"""The deadline of the current call, which also limits the calls made on its behalf."""

from __future__ import annotations

import time
from contextvars import ContextVar

# A caller whose deadline passes cancels its call, by its own clock.
_EARLY_SECONDS = 0.05

_end: ContextVar[float | None] = ContextVar("deadline", default=None)


def begin(seconds: float | None) -> None:
    """Set the deadline from the caller's remaining seconds; None if the caller set no deadline."""
    _end.set(None if seconds is None else time.monotonic() + seconds)


def cap(seconds: float) -> float:
    """Return the timeout of a call made on behalf of the current one: at most `seconds`."""
    end = _end.get()
    return seconds if end is None else max(0.0, min(seconds, end - time.monotonic()))


def have_passed() -> bool:
    """Return whether the deadline has passed, or is about to."""
    end = _end.get()
    return end is not None and time.monotonic() >= end - _EARLY_SECONDS
