"""Decide whether a service that ended is started again, and when."""

from __future__ import annotations

import signal

# A service that served this long and then ends is a new failure, not the last one again.
STEADY_SECONDS = 60.0
_FIRST_SECONDS = 1.0
_MOST_SECONDS = 30.0


class Backoff:
    """The delays before the restarts of one service: 1 s, doubled each time up to 30 s."""

    def __init__(self, first: float = _FIRST_SECONDS, most: float = _MOST_SECONDS) -> None:
        self._first = first
        self._most = most
        self._next = first

    def next_seconds(self) -> float:
        """Return the next delay."""
        delay = self._next
        self._next = min(2 * delay, self._most)
        return delay

    def reset(self) -> None:
        """Begin with the first delay again."""
        self._next = self._first


def cannot_start(returncode: int, has_served: bool) -> bool:
    """Return whether another start would end in the same way: the service ended with an error before it served.

    A service that a signal ended may well start the next time, for example when memory is free again.
    """
    return returncode > 0 and not has_served


def describe_end(returncode: int) -> str:
    """Return how a process ended, such as "was killed by signal 9 (SIGKILL)"."""
    if returncode >= 0:
        return f"ended with status {returncode}"
    try:
        name = f" ({signal.Signals(-returncode).name})"
    except ValueError:  # a real-time signal
        name = ""
    return f"was killed by signal {-returncode}{name}"
