"""A quota: how much of one kind a caller may do, as it is written and as numbers.

50/s                           50 a second on average, and 50 at once
50/s, burst 200                200 at once, after a pause
3000/minute, 100000/day        and no more than 100,000 in a day, which begins at midnight UTC
unlimited                      as an empty text
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from typing_extensions import override

_SECOND = 1_000_000_000
_PERIODS = {"s": _SECOND, "second": _SECOND, "minute": 60 * _SECOND, "hour": 3_600 * _SECOND}
_RATE = re.compile(r"([1-9][0-9_]{0,11})\s*/\s*(s|second|minute|hour)")
_BURST = re.compile(r"burst\s+([1-9][0-9_]{0,11})")
_DAILY = re.compile(r"([1-9][0-9_]{0,14})\s*/\s*day")
_UNLIMITED = "unlimited"
# More than any caller can send; finer intervals would lose precision.
_MOST_A_SECOND = 1_000_000
# Intervals are whole nanoseconds, so a rate comes back with this error.
_CLOSE = 1e-6


class Kind(StrEnum):
    """What a quota counts."""

    READ = "read"
    """Calls that change nothing."""
    WRITE = "write"
    """Changes: each image or item that a call adds or deletes, or the call."""
    EMBED = "embed"
    """Images for the model."""


@dataclass(frozen=True)
class Quota:
    """What is allowed: one unit each `interval_ns`, `burst` at once, and `per_day`; 0 is no limit."""

    interval_ns: int = 0
    burst: int = 0
    per_day: int = 0

    @property
    def per_second(self) -> float:
        """The rate; 0 if it is not limited."""
        return _SECOND / self.interval_ns if self.interval_ns else 0.0

    @property
    def rate(self) -> tuple[float, str]:
        """The rate: a number, and the shortest of "second", "minute" and "hour" in which it is whole."""
        if not self.interval_ns:
            return 0, "second"
        for period in ("second", "minute", "hour"):
            units = _PERIODS[period] / self.interval_ns
            if units > 1 - _CLOSE and abs(units - round(units)) < _CLOSE * units:
                return round(units), period
        return units, period

    @classmethod
    def parse(cls, text: str) -> Quota:
        """Read a quota.

        Raises:
            ValueError: The text is not a quota; the message says how to write one.
        """
        if text.strip() in ("", _UNLIMITED):
            return UNLIMITED
        found: dict[str, re.Match[str]] = {}
        for part in text.split(","):
            for name, pattern in (("rate", _RATE), ("burst", _BURST), ("daily", _DAILY)):
                match = pattern.fullmatch(part.strip())
                if match is not None and name not in found:
                    found[name] = match
                    break
            else:
                raise _malformed(text)
        if "burst" in found and "rate" not in found:
            raise _malformed(text)
        interval = burst = 0
        if "rate" in found:
            units, period = int(found["rate"][1]), _PERIODS[found["rate"][2]]
            if units * _SECOND > _MOST_A_SECOND * period:
                raise ValueError(f'"{text}" is more than {_MOST_A_SECOND:,} a second; write "{_UNLIMITED}"')
            interval = math.ceil(period / units)
            burst = int(found["burst"][1]) if "burst" in found else max(1, round(_SECOND / interval))
        return cls(interval, burst, int(found["daily"][1]) if "daily" in found else 0)

    @override
    def __str__(self) -> str:
        parts = []
        if self.interval_ns:
            units, period = self.rate
            parts += [f"{units:g}/{period}", f"burst {self.burst}"]
        if self.per_day:
            parts.append(f"{self.per_day}/day")
        return ", ".join(parts) or _UNLIMITED


UNLIMITED = Quota()


def _malformed(text: str) -> ValueError:
    return ValueError(
        f'"{text}" is not a quota; write for example "50/s", "50/s, burst 200", "3000/minute, 100000/day" or '
        f'"{_UNLIMITED}"'
    )
