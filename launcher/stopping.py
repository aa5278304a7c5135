"""Stop the suite: the signals that end the launcher, the termination of process groups, and the watchdog.

The watchdog, `python -m launcher.stopping`, ends the services if the launcher dies without doing so, for example by
SIGKILL. It reads lines from stdin, each with a process group id and the seconds that the group may take to end; a
negative id takes one back. Only the launcher holds the other end of that pipe, so stdin reaches its end when the
launcher is gone for any reason; then the watchdog ends every group. It runs in its own session, where Ctrl-C does not
reach it. (On Linux alone, PR_SET_PDEATHSIG would do.)
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What has ended by then was not worth a word.
_SILENT_SECONDS = 1.0
_POLL_SECONDS = 0.02
# `timeout` and `make` send a signal to a process and to its group: one request that arrives twice.
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
    """Let no signal interrupt the stop, whose time is bounded; another SIGINT or SIGTERM kills what still runs."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    earliest = time.monotonic() + _SAME_REQUEST_SECONDS

    def force(_: int, __: FrameType | None) -> None:
        if time.monotonic() >= earliest:
            _forced.set()

    signal.signal(signal.SIGINT, force)
    signal.signal(signal.SIGTERM, force)


def _interrupt(number: int, _: FrameType | None) -> None:
    expect_force()
    raise Interrupted(number)


def end_groups(
    leaders: Collection[int], grace_seconds: float, waiting: Callable[[list[int]], None] = lambda _: None
) -> list[int]:
    """End the process groups of these leaders, and return those that had to be killed.

    `waiting` is called with those that have not ended after a moment, and again when they have become fewer.
    """
    began = time.monotonic()
    left = [leader for leader in leaders if _signal(leader, signal.SIGTERM)]
    told: list[int] = []
    while left and (taken := time.monotonic() - began) < grace_seconds and not _forced.is_set():
        if taken >= _SILENT_SECONDS and left != told:
            waiting(left)
            told = left
        time.sleep(_POLL_SECONDS)
        left = [leader for leader in left if _signal(leader, 0)]
    for leader in left:
        _signal(leader, signal.SIGKILL)
    return left


def _signal(leader: int, number: int) -> bool:
    """Send a signal to a group; return False if it is gone (macOS reports EPERM for one that is being reaped)."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Wait for the end of stdin, then end the groups that were read from it."""
    seconds: dict[int, float] = {}
    for line in sys.stdin:
        leader, limit = line.split()
        if int(leader) > 0:
            seconds[int(leader)] = float(limit)
        else:
            seconds.pop(-int(leader), None)
    end_groups(seconds, max(seconds.values(), default=0))


if __name__ == "__main__":
    main()
