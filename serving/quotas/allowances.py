"""What each caller is allowed: its own allowance, or else that of its role, or else everyone's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from serving.callers import Caller, Role
from serving.quotas.quota import UNLIMITED, Kind, Quota


@dataclass(frozen=True)
class Allowance:
    """A quota of each kind, and how many calls may be in progress at a time; 0 is no limit."""

    read: Quota = UNLIMITED
    write: Quota = UNLIMITED
    embed: Quota = UNLIMITED
    calls: int = 0

    def quota(self, kind: Kind) -> Quota:
        """Return the quota of a kind."""
        return {Kind.READ: self.read, Kind.WRITE: self.write, Kind.EMBED: self.embed}[kind]


@dataclass(frozen=True)
class Allowances:
    """The allowances of all callers; a role or a caller may set some of the fields, and inherits the rest."""

    everyone: Allowance = field(default_factory=Allowance)
    roles: Mapping[Role, Mapping[str, Any]] = field(default_factory=dict)
    callers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, caller: Caller) -> Allowance:
        """Return a caller's allowance."""
        own = self.callers.get(caller.name)
        role = self.roles.get(caller.role)
        if own is None and role is None:
            return self.everyone
        return replace(self.everyone, **{**(role or {}), **(own or {})})

    @property
    def has_daily(self) -> bool:
        """Whether any caller has a daily quota."""
        tables = [vars(self.everyone), *self.roles.values(), *self.callers.values()]
        return any(isinstance(each, Quota) and each.per_day for table in tables for each in table.values())
