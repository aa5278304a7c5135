"""How many calls a service should answer at the same time, learnt from how long they take.

A call that is alone in the service takes its unloaded time. More calls at the same time use the machine better, until
they only wait for each other: then each takes longer, and no more of them are answered. The limit is kept where calls
take `SLOWDOWN` times as long as alone. So the service does as much as it can, and the wait inside it is bounded.

Like Envoy's gradient controller, this one compares medians, because the calls of a kind differ, and measures unloaded
times anew from time to time. Like Vegas, it adjusts the limit in proportion to the measured slowdown. A long-term mean
in place of unloaded times, as in Netflix's Gradient2, would get used to an overload that lasts.

Invariants:
- `LEAST` ≤ limit ≤ `MOST`, except that calls run one at a time while unloaded times are measured.
- The limit changes only while at least half of it is used: fewer calls say nothing about it.
- Calls that a service behind refuses lower the limit by their share: to admit them was of no use.
- Unloaded times are measured with one call at a time if most calls are of kinds that were never alone, if none was for
  half a minute, and if the limit is `LEAST` and calls are still slow: then the machine, or what is asked for, has
  changed.

Pure: the clock is the caller's.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable
from statistics import median
from typing import NamedTuple

SLOWDOWN = 1.75
LEAST, FIRST, MOST = 2, 8, 512
# A window closes when it is both long enough and has enough calls of one lane.
_WINDOW_SECONDS, _WINDOW_CALLS = 0.1, 8
# The most that a window changes the limit by.
_SHRINK, _GROW = 0.6, 1.2
# Unloaded times are medians of the last ones, so that the first call, with cold caches, does not count.
_UNLOADED_CALLS = 9
_PROBE_CALLS = 5
_PROBE_AFTER_SECONDS = 30.0
# Of the whole time, at most this share goes into measuring unloaded times.
_PROBE_SHARE = 0.02


class Kind(NamedTuple):
    """Calls whose times are compared: those of one method in one lane."""

    method: str
    lane: Hashable


class AdaptiveLimit:
    """The limit of one service."""

    def __init__(self, now: float) -> None:
        self._limit = float(FIRST)
        self._unloaded: dict[Kind, deque[float]] = {}
        self._fastest: dict[Kind, float] = {}
        self._former: dict[Kind, float] = {}
        self._slowdowns: dict[Hashable, list[float]] = defaultdict(list)
        self._refused_behind = 0
        self._never_alone = 0
        self._window_began = now
        self._most_in_flight = 0
        self._changed = now
        self._alone_seen = now
        self._probe_began = now
        self._probe_left = 0
        self._no_probe_before = now

    @property
    def limit(self) -> int:
        """How many calls may be in flight."""
        return 1 if self._probe_left else int(self._limit)

    @property
    def usual(self) -> int:
        """The limit, also while calls run one at a time for a moment."""
        return int(self._limit)

    def unloaded_seconds(self, kind: Kind) -> float | None:
        """Return how long a call takes alone; None if none was ever measured."""
        if times := self._unloaded.get(kind):
            return median(times)
        return self._fastest.get(kind)

    def usual_seconds(self, kind: Kind) -> float | None:
        """Return how long a call takes alone, or took when that was last measured; None if it never was."""
        return self.unloaded_seconds(kind) or self._former.get(kind)

    def record(self, kind: Kind, seconds: float, began: float, in_flight: int, now: float) -> None:
        """Record a call that was answered.

        Args:
            kind: Its method and lane.
            seconds: How long it took, once admitted.
            began: When it was admitted.
            in_flight: The most calls in flight, itself included, of when it began and when it ended.
            now: The time.
        """
        if in_flight == 1:
            self._record_alone(kind, seconds, now)
        if began < self._changed:
            return  # it ran under another limit
        self._fastest[kind] = min(seconds, self._fastest.get(kind, seconds))
        unloaded = self.unloaded_seconds(kind) or seconds
        self._never_alone += kind not in self._unloaded
        self._slowdowns[kind.lane].append(seconds / max(unloaded, 1e-6))
        self._note(kind, in_flight, now)

    def record_refusal_behind(self, kind: Kind, began: float, in_flight: int, now: float) -> None:
        """Record a call that failed because a service behind this one is too busy; see `record`."""
        if began >= self._changed:
            self._refused_behind += 1
            self._note(kind, in_flight, now)

    def _note(self, kind: Kind, in_flight: int, now: float) -> None:
        self._most_in_flight = max(self._most_in_flight, in_flight)
        calls = len(self._slowdowns[kind.lane]) + self._refused_behind
        if now - self._window_began >= _WINDOW_SECONDS and calls >= _WINDOW_CALLS:
            self._close_window(now)

    def _record_alone(self, kind: Kind, seconds: float, now: float) -> None:
        self._unloaded.setdefault(kind, deque(maxlen=_UNLOADED_CALLS)).append(seconds)
        self._alone_seen = now
        if self._probe_left:
            self._probe_left -= 1
            if not self._probe_left:
                self._no_probe_before = now + (now - self._probe_began) / _PROBE_SHARE
                self._begin_window(now)

    def _close_window(self, now: float) -> None:
        # Of the lane that suffers most.
        answered = [each for each in self._slowdowns.values() if len(each) >= _WINDOW_CALLS // 2]
        slowdown = max((median(each) for each in answered), default=SLOWDOWN)
        calls = self._refused_behind + sum(map(len, self._slowdowns.values()))
        refused = self._refused_behind / calls
        used = 2 * self._most_in_flight >= self._limit
        if used and not self._probe_left:
            factor = max(min(SLOWDOWN / slowdown, 1 - refused if refused else _GROW), _SHRINK)
            unknown = 2 * self._never_alone > calls
            out_of_date = slowdown > SLOWDOWN and self._limit == LEAST
            if not unknown:
                self._limit = min(max(self._limit * factor, LEAST), MOST)
            if unknown or out_of_date or now - self._alone_seen > _PROBE_AFTER_SECONDS:
                self._probe(now)
        self._begin_window(now)

    def _begin_window(self, now: float) -> None:
        self._slowdowns.clear()
        self._refused_behind = self._never_alone = 0
        self._window_began = self._changed = now
        self._most_in_flight = 0

    def _probe(self, now: float) -> None:
        """Measure unloaded times anew, with one call at a time."""
        if now >= self._no_probe_before:
            self._former |= {kind: median(times) for kind, times in self._unloaded.items()}
            self._unloaded.clear()
            self._fastest.clear()
            self._probe_began = now
            self._probe_left = _PROBE_CALLS
