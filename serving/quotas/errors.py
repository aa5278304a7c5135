"""Errors of quotas.

QuotaExceeded
├── RateExceeded
├── DayUsedUp
└── TooManyCalls
"""

from __future__ import annotations

import math

from serving.gates import NotYet
from serving.quotas.quota import Kind, Quota

# How long callers with too many calls should wait; how long a call takes is not known.
_CALLS_SECONDS = 1.0
_COUNTED = {
    Kind.READ: "read calls",
    Kind.WRITE: "changes",
    Kind.EMBED: "images for the model",
}


class QuotaExceeded(Exception):
    """A caller has used what it is allowed.

    Attributes:
        subject: The caller, as it is counted.
        quota_id: The quota's name, such as "embed/day".
        limit: The quota's number.
        seconds: When the same call is admitted, if the caller sends no other.
    """

    def __init__(self, message: str, subject: str, quota_id: str, limit: int, seconds: float) -> None:
        super().__init__(message)
        self.subject = subject
        self.quota_id = quota_id
        self.limit = limit
        self.seconds = seconds


class RateExceeded(QuotaExceeded, NotYet):
    """A caller is too fast; a stream waits."""

    def __init__(self, subject: str, kind: Kind, quota: Quota, seconds: float) -> None:
        units, period = quota.rate
        super().__init__(
            f"Too fast: {subject} may send {units:g} {_COUNTED[kind]} per {period} on average, and {quota.burst:,} "
            f"at once. Try again in {_rounded(seconds)}.",
            subject,
            f"{kind}/{period}",
            math.ceil(units),
            seconds,
        )


class DayUsedUp(QuotaExceeded):
    """A daily quota is used up."""

    def __init__(self, subject: str, kind: Kind, quota: Quota, used: int, seconds: float) -> None:
        super().__init__(
            f"The quota of today is used up: {subject} may send {quota.per_day:,} {_COUNTED[kind]} a day, and has sent "
            f"{used:,}. The next day begins at midnight UTC, in {_rounded(seconds)}.",
            subject,
            f"{kind}/day",
            quota.per_day,
            seconds,
        )


class TooManyCalls(QuotaExceeded):
    """A caller has too many calls in progress."""

    def __init__(self, subject: str, most: int) -> None:
        super().__init__(
            f"Too many calls at a time: {subject} may have {most:,} in progress. Wait until one of them ends.",
            subject,
            "calls",
            most,
            _CALLS_SECONDS,
        )


def _rounded(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7_200 else f"{seconds / 3_600:.0f} hours"
