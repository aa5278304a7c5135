"""Admit calls within their callers' allowances, or say when to try again.

A call is admitted if all its quotas have room for it, and then it takes from each; else it takes from none. So a caller
that waits as long as it was told, and sends nothing else meanwhile, is admitted. Of several that wait, only the first
may be: nothing is reserved.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from serving.callers import ANONYMOUS, Caller
from serving.quotas.allowances import Allowance, Allowances
from serving.quotas.day_counts import DAY_SECONDS, DayCounts
from serving.quotas.errors import DayUsedUp, RateExceeded, TooManyCalls
from serving.quotas.meter import Meter
from serving.quotas.peers import address_of
from serving.quotas.quota import Kind, Quota

_SECOND = 1_000_000_000

Units = Mapping[Kind, int]


@dataclass(frozen=True)
class Use:
    """A quota and what its caller has used of it today; 0 where the quota is not daily."""

    kind: Kind
    quota: Quota
    used_today: int


@dataclass(frozen=True)
class Standing:
    """What a caller may do and has done; `day_end` is when the next day begins, in seconds since 1970."""

    caller: str
    max_calls: int
    uses: tuple[Use, ...]
    day_end: int


@dataclass(frozen=True)
class Payment:
    """What was taken for a message: units of a caller's quotas, on a day."""

    name: str
    allowance: Allowance
    units: Units
    day: int


class Limiter:
    """Knows what each caller has used; for one event loop.

    Args:
        allowances: What callers are allowed; may be replaced at any time.
        clock: Nanoseconds of a clock that is never set.
        now: Seconds since 1970.
    """

    def __init__(
        self,
        allowances: Allowances,
        clock: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.allowances = allowances
        self.days = DayCounts()
        self._clock = clock
        self._now = now
        self._meters = {kind: Meter() for kind in Kind}
        self._calls: Counter[str] = Counter()

    def has_room(self, name: str, caller: Caller) -> bool:
        """Return whether a caller, counted under a name, may have another call in progress."""
        most = self.allowances.of(caller).calls
        return not most or self._calls[name] < most

    @contextmanager
    def in_progress(self, caller: Caller, peer: str) -> Iterator[None]:
        """Count a call as in progress for the duration of a `with` block.

        Raises:
            TooManyCalls: The caller has as many as it may have.
        """
        name = name_of(caller, peer)
        if not self.has_room(name, caller):
            raise TooManyCalls(name, self.allowances.of(caller).calls)
        self._calls[name] += 1
        try:
            yield
        finally:
            self._calls[name] -= 1
            if not self._calls[name]:
                del self._calls[name]

    def take(self, caller: Caller, peer: str, units: Units) -> Payment:
        """Take units from the caller's quotas.

        Raises:
            RateExceeded: The caller is too fast.
            DayUsedUp: A daily quota is used up.
        """
        name, allowance = name_of(caller, peer), self.allowances.of(caller)
        clock, now = self._clock(), self._now()
        self._check_days(name, allowance, units, now)
        waits = {
            kind: self._meters[kind].wait(name, allowance.quota(kind), count, clock) for kind, count in units.items()
        }
        if waits and (longest := max(waits.values())):
            kind = next(kind for kind, wait in waits.items() if wait == longest)
            raise RateExceeded(name, kind, allowance.quota(kind), longest / _SECOND)
        for kind, count in units.items():
            quota = allowance.quota(kind)
            self._meters[kind].take(name, quota, count, clock)
            if quota.per_day:
                self.days.add(name, kind, count, now)
        return Payment(name, allowance, units, int(now // DAY_SECONDS))

    def give_back(self, payment: Payment) -> None:
        """Give back what was taken."""
        for kind, count in payment.units.items():
            quota = payment.allowance.quota(kind)
            self._meters[kind].give_back(payment.name, quota, count)
            if quota.per_day:
                self.days.take_back(payment.name, kind, count, payment.day)

    def standing(self, caller: Caller, peer: str) -> Standing:
        """Return a caller's quotas and what it has used."""
        name, allowance, now = name_of(caller, peer), self.allowances.of(caller), self._now()
        quotas = {kind: allowance.quota(kind) for kind in Kind}
        uses = tuple(
            Use(kind, quota, self.days.used(name, kind, now) if quota.per_day else 0) for kind, quota in quotas.items()
        )
        return Standing(name, allowance.calls, uses, (int(now // DAY_SECONDS) + 1) * DAY_SECONDS)

    def _check_days(self, name: str, allowance: Allowance, units: Units, now: float) -> None:
        for kind, count in units.items():
            quota = allowance.quota(kind)
            if not quota.per_day:
                continue
            used = self.days.used(name, kind, now)
            # A call that is larger than the whole quota is admitted as the day's first.
            if used and used + count > quota.per_day:
                raise DayUsedUp(name, kind, quota, used, DAY_SECONDS - now % DAY_SECONDS)


def name_of(caller: Caller, peer: str) -> str:
    """Return the name under which a caller is counted: its own or, if it has none, its address."""
    return address_of(peer) if caller is ANONYMOUS else f"caller {caller.name}"
