"""Tells an overload from a burst.

An overload begins with a refusal. It ends when fewer than `_SHARE` of the calls of a second were refused, or when none
was for some seconds. A rule that waits until no call is refused would never end it: in an overload calls may hardly
wait, so at every load a few of them are refused.

Pure: the clock is the caller's.
"""

from __future__ import annotations

_SHARE = 1 / 3
# A window closes when it is both long enough and has enough calls.
_WINDOW_SECONDS, _WINDOW_CALLS = 1.0, 8
_QUIET_SECONDS = 5.0


class Overload:
    """The calls of one lane."""

    def __init__(self) -> None:
        self._lasts = False
        self._window_began = self._refused_last = 0.0
        self._calls = self._refused = 0

    def lasts(self, now: float) -> bool:
        """Return whether there is an overload."""
        self._end_window(now)
        if self._lasts and now - self._refused_last >= _QUIET_SECONDS:
            self._lasts = False
        return self._lasts

    def count(self, now: float) -> None:
        """Count a call that arrives."""
        self._end_window(now)
        self._calls += 1

    def count_refused(self, now: float) -> None:
        """Count a call that arrived before and is refused now."""
        if not self._lasts:
            self._lasts = True
            self._begin_window(now)
            self._calls = 1
        self._refused += 1
        self._refused_last = now

    def _end_window(self, now: float) -> None:
        if now - self._window_began >= _WINDOW_SECONDS and self._calls >= _WINDOW_CALLS:
            self._lasts = self._lasts and self._refused >= _SHARE * self._calls
            self._begin_window(now)

    def _begin_window(self, now: float) -> None:
        self._window_began = now
        self._calls = self._refused = 0
