"""Stop the suite: the signals that end the launcher, the termination of process groups, and the watchdog.

The watchdog, `python -m launcher.stopping`, ends the services if the launcher dies without doing so, for example by
SIGKILL. It reads process group ids from stdin, one per line; a negative number takes an id back. Only the launcher
holds the other end of that pipe, so stdin reaches its end when the launcher is gone for any reason; then the watchdog
ends every group. It runs in its own session, where Ctrl-C does not reach it. (On Linux alone, PR_SET_PDEATHSIG would
do.)
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Collection
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A stop takes at most 5 s in all. Calls in flight get 3 s by default; closing files takes less than 0.3 s.
GRACE_SECONDS = 4.2
_POLL_SECONDS = 0.02
# `timeout` and `make` send SIGTERM to a process and to its group: one request that arrives twice.
_SAME_REQUEST_SECONDS = 0.5
_forced = threading.Event()


class Interrupted(KeyboardInterrupt):
    """A signal asks the launcher to end; `exit_status` is 128 plus its number, as in shells."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


def raise_on_signals() -> None:
    """Make the first SIGINT, SIGTERM or SIGHUP raise `Interrupted`; `expect_force` says what later ones do."""
    for number in _ENDING:
        # nohup ignores SIGHUP on purpose; leave that.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def expect_force() -> None:
    """Let no signal interrupt the stop, whose time is bounded; another SIGTERM makes it kill what still runs."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    earliest = time.monotonic() + _SAME_REQUEST_SECONDS

    def force(_: int, __: FrameType | None) -> None:
        if time.monotonic() >= earliest:
            _forced.set()

    signal.signal(signal.SIGTERM, force)


def _interrupt(number: int, _: FrameType | None) -> None:
    expect_force()
    raise Interrupted(number)


def end_groups(leaders: Collection[int], grace_seconds: float = GRACE_SECONDS) -> None:
    """End the process groups of these leaders; return when none is left, or after SIGKILL was sent."""
    deadline = time.monotonic() + grace_seconds
    left = [leader for leader in leaders if _signal(leader, signal.SIGTERM)]
    while left and time.monotonic() < deadline and not _forced.is_set():
        time.sleep(_POLL_SECONDS)
        left = [leader for leader in left if _signal(leader, 0)]
    for leader in left:
        _signal(leader, signal.SIGKILL)


def _signal(leader: int, number: int) -> bool:
    """Send a signal to a group; return False if it is gone (macOS reports EPERM for one that is being reaped)."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Wait for the end of stdin, then end the groups that were read from it."""
    leaders: set[int] = set()
    for line in sys.stdin:
        leader = int(line)
        if leader > 0:
            leaders.add(leader)
        else:
            leaders.discard(-leader)
    end_groups(leaders)


if __name__ == "__main__":
    main()
