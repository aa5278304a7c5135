"""Decides which calls begin, which wait, and which are refused at once.

Contract:
- At most `limit` calls are in flight (`adaptive_limit`); further ones wait in two lanes. Interactive calls go first;
  every fourth turn is a bulk call's, so that bulk work does not stop.
- Bulk calls take long. While interactive calls come, bulk ones hold at most a third of the limit, and those that hold
  more from before do not keep interactive calls out.
- A call may wait for seconds if it came within `_BURST_SECONDS` of the first one that waits, which is a burst, or if
  few calls wait in its lane. Any other call may wait for `_SOON_SECONDS`.
- In an overload (`overload`), a call waits at most a quarter of the time that it takes alone: no admitted one is late.
  The first bulk call that waits beside interactive ones may wait for `_SOON_SECONDS`.
- A call that would have to wait longer, or that could not finish before its deadline, is refused on arrival. The
  estimate is made of the measured times, the limit, and the number of calls that are ahead.
- Where only our own services call, calls may wait longer in an overload too (`waits`): what they belong to was admitted
  already, may make many of them at once, and should not break off.
- Whoever leaves while waiting takes no turn.

Pure: the clock is the caller's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from serving.adaptive_limit import AdaptiveLimit, Kind
from serving.lanes import BULK_EVERY, INTERACTIVE_SECONDS, Lane, Turns
from serving.overload import Overload

# Bounds of the wait of one call, whatever its method takes: the event loop's own delays, and when refusals are of use.
_LEAST_WAIT_SECONDS, _MOST_WAIT_SECONDS = 0.002, 0.04
_WAIT_SHARE = 0.25
# A program that sends many searches at once does so within this time. Facebook's queues, too, tell bursts from
# overloads by the time since the queue was empty (Maurer, "Fail at Scale", ACM Queue 13 (8), 2015). Bulk calls are
# tried again.
_BURST_SECONDS = {Lane.INTERACTIVE: 0.03, Lane.BULK: 0.0}
# So few calls of a lane may always wait. A browser has six connections.
_FEW = {Lane.INTERACTIVE: 8, Lane.BULK: 1}
_BURST_WAIT_SECONDS, _SOON_SECONDS = 4.0, 0.2
# The weight of a new call in the means.
_WEIGHT = 0.1


class TooBusy(Exception):
    """The service answers as many calls as it can; `lane` is the call's."""

    def __init__(self, lane: Lane, limit: int) -> None:
        super().__init__(
            f"The service already answers as many calls as it can, {limit:,} at a time, and this one would have to "
            "wait too long. Try again in a moment."
        )
        self.lane = lane


class Outcome(Enum):
    """How a call ended."""

    ANSWERED = auto()
    REFUSED_BEHIND = auto()  # a service behind this one is too busy
    GAVE_UP = auto()  # its turn did not come in time
    OTHER = auto()


@dataclass(eq=False)
class Ticket:
    """A call's place: waiting until `begin` is called, for at most `patience` seconds, then in flight."""

    kind: Kind
    lane: Lane
    begin: Callable[[], None]
    patience: float = 0.0
    began: float | None = None
    in_flight: int = 0


class Admission:
    """The calls of one service."""

    def __init__(self, now: float, waits: Mapping[Lane, float] | None = None) -> None:
        self._waits = waits or {}
        self._limit = AdaptiveLimit(now)
        self._in_flight = dict.fromkeys(Lane, 0)
        self._waiting: dict[Lane, deque[Ticket]] = {lane: deque() for lane in Lane}
        self._waiting_since = dict.fromkeys(Lane, now)
        self._overload = {lane: Overload() for lane in Lane}
        self._turns = Turns()
        self._interactive_until = now
        self._mean_seconds = 0.0
        self._seconds: dict[Kind, float] = {}

    @property
    def limit(self) -> int:
        """How many calls may be in flight."""
        return self._limit.limit

    def in_flight(self, lane: Lane) -> int:
        """Return how many calls of a lane are in flight."""
        return self._in_flight[lane]

    def waiting(self, lane: Lane) -> int:
        """Return how many calls of a lane wait."""
        return len(self._waiting[lane])

    def refuses(self, method: str, lane: Lane, now: float) -> bool:
        """Return whether a call that came now would have to wait too long, whatever its deadline."""
        return not self._may_begin(lane, now) and (
            self._expected_wait(lane) > self._longest_wait(Kind(method, lane), lane, now)
        )

    def count_refused(self, lane: Lane, now: float) -> None:
        """Count a call that was refused without an attempt to `arrive`."""
        self._count(lane, now)
        self._overload[lane].count_refused(now)

    def arrive(
        self, method: str, lane: Lane, now: float, begin: Callable[[], None], seconds: float | None = None
    ) -> Ticket:
        """Admit a call, now or later: `begin` is called when it may begin.

        Args:
            method: Its method.
            lane: Its lane.
            now: The time.
            begin: Called once, perhaps before this returns.
            seconds: The time left until its deadline, if it has one.

        Raises:
            TooBusy: It would have to wait too long.
        """
        self._count(lane, now)
        ticket = Ticket(Kind(method, lane), lane, begin)
        if self._may_begin(lane, now):
            self._begin(ticket, now)
            return ticket
        wait = self._expected_wait(lane)
        ticket.patience = self._longest_wait(ticket.kind, lane, now)
        if wait > ticket.patience:
            self._overload[lane].count_refused(now)
            raise TooBusy(lane, self.limit)
        if seconds is not None and wait + self._seconds.get(ticket.kind, 0.0) > seconds:
            raise TooBusy(lane, self.limit)
        if not self._waiting[lane]:
            self._waiting_since[lane] = now
        self._waiting[lane].append(ticket)
        return ticket

    def leave(self, ticket: Ticket, now: float, outcome: Outcome = Outcome.OTHER) -> None:
        """Remove a call, waiting or in flight; only the times of those that were answered count."""
        if ticket.began is None:
            self._waiting[ticket.lane].remove(ticket)
            if outcome is Outcome.GAVE_UP:
                self._overload[ticket.lane].count_refused(now)
        else:
            total = sum(self._in_flight.values())
            self._in_flight[ticket.lane] -= 1
            in_flight = max(ticket.in_flight, total)
            if outcome is Outcome.REFUSED_BEHIND:
                self._limit.record_refusal_behind(ticket.kind, ticket.began, in_flight, now)
            elif outcome is Outcome.ANSWERED:
                seconds = now - ticket.began
                self._limit.record(ticket.kind, seconds, ticket.began, in_flight, now)
                self._mean_seconds += _WEIGHT * (seconds - self._mean_seconds)
                mean = self._seconds.get(ticket.kind, seconds)
                self._seconds[ticket.kind] = mean + _WEIGHT * (seconds - mean)
        self._give_turns(now)

    def _count(self, lane: Lane, now: float) -> None:
        if lane is Lane.INTERACTIVE:
            self._interactive_until = now + INTERACTIVE_SECONDS
        self._overload[lane].count(now)

    def _may_begin(self, lane: Lane, now: float) -> bool:
        return not self._waiting[lane] and self._has_room(lane, now)

    def _begin(self, ticket: Ticket, now: float) -> None:
        self._in_flight[ticket.lane] += 1
        ticket.began, ticket.in_flight = now, sum(self._in_flight.values())
        ticket.begin()

    def _has_room(self, lane: Lane, now: float) -> bool:
        limit, bulk = self.limit, self._in_flight[Lane.BULK]
        interactive = self._in_flight[Lane.INTERACTIVE]
        if lane is Lane.INTERACTIVE:
            return interactive + min(bulk, max(1, limit // 3)) < limit
        mine = max(1, limit // 3) if now < self._interactive_until else limit
        return interactive + bulk < limit and bulk < mine

    def _longest_wait(self, kind: Kind, lane: Lane, now: float) -> float:
        alone = self._limit.usual_seconds(kind)
        usual = self._waits.get(lane, min(max(_WAIT_SHARE * (alone or 0.0), _LEAST_WAIT_SECONDS), _MOST_WAIT_SECONDS))
        if self._overload[lane].lasts(now):
            # Else it would be refused as long as interactive calls wait, although its turn comes.
            is_next_bulk = lane is Lane.BULK and not self._waiting[lane] and self._waiting[Lane.INTERACTIVE]
            return max(usual, _SOON_SECONDS) if is_next_bulk else usual
        waiting = len(self._waiting[lane])
        is_burst = waiting < _FEW[lane] or now - self._waiting_since[lane] < _BURST_SECONDS[lane]
        return max(usual, _BURST_WAIT_SECONDS if is_burst or alone is None else _SOON_SECONDS)

    def _expected_wait(self, lane: Lane) -> float:
        ahead = len(self._waiting[lane])
        if lane is Lane.BULK:
            ahead += min(len(self._waiting[Lane.INTERACTIVE]), (BULK_EVERY - 1) * (ahead + 1))
        return (ahead + 1) * self._mean_seconds / self._limit.usual

    def _give_turns(self, now: float) -> None:
        while (ticket := self._next(now)) is not None:
            self._turns.record(ticket.lane)
            self._waiting[ticket.lane].popleft()
            self._begin(ticket, now)

    def _next(self, now: float) -> Ticket | None:
        order = [Lane.INTERACTIVE, Lane.BULK]
        if self._turns.is_bulk:
            order.reverse()
        for lane in order:
            if self._waiting[lane] and self._has_room(lane, now):
                return self._waiting[lane][0]
        return None
