"""Meters of rates: the generic cell rate algorithm (GCRA), a token bucket in one number for each caller.

The number is the time at which the bucket is full again. Everything is in whole nanoseconds, so a call that waits
exactly as long as it was told is admitted.

Invariants:
- Units beyond the burst are admitted once the bucket is full, and leave a debt: no call is too large for ever.
- At most `MOST_CALLERS` callers are remembered. A full bucket is the same as none, and is forgotten first. If there are
  none, those that are nearest to being full are forgotten, so a crowd of addresses clears no large debt.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from serving.quotas.quota import Quota

MOST_CALLERS = 10_000


@dataclass
class _Bucket:
    quota: Quota
    full_at: int


class Meter:
    """The rates of one kind, for all callers; times are in nanoseconds of any one clock."""

    def __init__(self, most_callers: int = MOST_CALLERS) -> None:
        self._most_callers = most_callers
        self._buckets: dict[str, _Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, caller: str, quota: Quota, units: int, now: int) -> int:
        """Return the nanoseconds until `units` are admitted; 0 if they are now."""
        bucket = self._buckets.get(caller)
        if bucket is None or bucket.quota != quota or not quota.interval_ns:
            return 0
        spare = quota.burst - min(units, quota.burst)
        return max(0, bucket.full_at - spare * quota.interval_ns - now)

    def take(self, caller: str, quota: Quota, units: int, now: int) -> None:
        """Take units, whether they are there or not; see `wait`."""
        if not quota.interval_ns:
            return
        bucket = self._buckets.get(caller)
        if bucket is None or bucket.quota != quota:  # quotas that were changed begin with a full bucket
            if bucket is None:
                self._make_room(now)
            bucket = self._buckets[caller] = _Bucket(quota, now)
        bucket.full_at = max(bucket.full_at, now) + units * quota.interval_ns

    def give_back(self, caller: str, quota: Quota, units: int) -> None:
        """Give back units that were taken."""
        bucket = self._buckets.get(caller)
        if bucket is not None and bucket.quota == quota:
            bucket.full_at -= units * quota.interval_ns

    def _make_room(self, now: int) -> None:
        if len(self._buckets) < self._most_callers:
            return
        self._buckets = {caller: bucket for caller, bucket in self._buckets.items() if bucket.full_at > now}
        if len(self._buckets) < self._most_callers:
            return
        # Several at once, so that the search is paid for by many callers.
        least = heapq.nsmallest(
            max(1, self._most_callers // 10), self._buckets, key=lambda caller: self._buckets[caller].full_at
        )
        for caller in least:
            del self._buckets[caller]
