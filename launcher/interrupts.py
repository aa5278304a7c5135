"""Signals that end the launcher, as an exception in the main thread."""

from __future__ import annotations

import signal
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asks to end; `exit_status` is 128 and its number, as shells have it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


def raise_on_signals() -> None:
    """Makes the first SIGINT, SIGTERM or SIGHUP raise `Interrupted`; further ones are ignored, as the end has begun."""
    for number in _ENDING:
        # nohup has SIGHUP ignored, and means it.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def ignore_signals() -> None:
    """Lets nothing interrupt what follows; for the stop, whose time is bounded."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, _: FrameType | None) -> None:
    ignore_signals()
    raise Interrupted(number)
