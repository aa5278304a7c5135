"""What a server accepts, and how much its caller may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Limit:
    """A limit that a service enforces, and the server's setting that chose it, if one can."""

    name: str
    most: float
    unit: str
    service: str
    setting: str = ""


@dataclass(frozen=True)
class CallerQuota:
    """How much of one kind the caller may do: "read", "write" or "embed"; 0 is any number."""

    kind: str
    per_second: float
    burst: int
    per_day: int
    used_today: int
    day_end: datetime | None = None


@dataclass(frozen=True)
class Limits:
    """The limits of a server, and what the caller may do; `max_calls` 0 is any number at a time."""

    limits: tuple[Limit, ...]
    quotas: tuple[CallerQuota, ...]
    max_calls: int
    caller: str

    def most(self, name: str, unit: str) -> float:
        """Return the smallest of the limits with a name and a unit; raises `KeyError` if there is none."""
        found = [limit.most for limit in self.limits if (limit.name, limit.unit) == (name, unit)]
        if not found:
            raise KeyError((name, unit))
        return min(found)
