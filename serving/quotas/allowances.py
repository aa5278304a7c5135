"""What each caller is allowed: its own allowance, or else that of its role, or else everyone's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge
from pydantic import BaseModel, BeforeValidator, ConfigDict

from serving.callers import Caller, Role
from serving.quotas.quota import UNLIMITED, Kind, Quota

_Written = Annotated[Quota, BeforeValidator(lambda text: Quota.parse(text) if isinstance(text, str) else text)]


@dataclass(frozen=True)
class Allowance:
    """A quota of each kind, and how many calls may be in progress at a time; 0 is any number."""

    read: Quota = UNLIMITED
    write: Quota = UNLIMITED
    embed: Quota = UNLIMITED
    calls: int = 0

    def quota(self, kind: Kind) -> Quota:
        """Return the quota of a kind."""
        return {Kind.READ: self.read, Kind.WRITE: self.write, Kind.EMBED: self.embed}[kind]

    @property
    def is_daily(self) -> bool:
        """Whether one of the quotas is."""
        return any(self.quota(kind).per_day for kind in Kind)


class OwnAllowance(BaseModel):
    """What a role or a caller has of its own, with the names of the settings; the rest is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    read_quota: _Written | None = None
    write_quota: _Written | None = None
    embed_quota: _Written | None = None
    max_calls_per_caller: Annotated[int, Ge(0)] | None = None

    def over(self, usual: Allowance) -> Allowance:
        """Return an allowance with these in place of the usual ones."""
        return Allowance(
            usual.read if self.read_quota is None else self.read_quota,
            usual.write if self.write_quota is None else self.write_quota,
            usual.embed if self.embed_quota is None else self.embed_quota,
            usual.calls if self.max_calls_per_caller is None else self.max_calls_per_caller,
        )


@dataclass(frozen=True)
class Allowances:
    """The allowances of all callers."""

    everyone: Allowance = field(default_factory=Allowance)
    roles: Mapping[Role, OwnAllowance] = field(default_factory=dict)
    callers: Mapping[str, OwnAllowance] = field(default_factory=dict)

    def of(self, caller: Caller) -> Allowance:
        """Return a caller's allowance."""
        allowance = self.everyone
        for own in (self.roles.get(caller.role), self.callers.get(caller.name)):
            if own is not None:
                allowance = own.over(allowance)
        return allowance

    @property
    def are_daily(self) -> bool:
        """Whether any caller has a daily quota."""
        owns = (*self.roles.values(), *self.callers.values())
        return self.everyone.is_daily or any(own.over(Allowance()).is_daily for own in owns)
