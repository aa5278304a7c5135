"""The caller of the current call: its name, its role, and the collections that it may use."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """What a caller may do; each role includes those below it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True)
class Caller:
    """A caller of this service; `collections` is None if it may use all of them."""

    name: str
    role: Role
    collections: frozenset[str] | None = None


# Everybody, where no callers are configured.
ANONYMOUS = Caller("anonymous", Role.ADMIN)

_current: ContextVar[Caller] = ContextVar("caller", default=ANONYMOUS)


def current() -> Caller:
    """Return the current call's caller."""
    return _current.get()


def begin(caller: Caller) -> None:
    """Set the current call's caller."""
    _current.set(caller)
