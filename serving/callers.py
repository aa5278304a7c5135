"""The caller of the current call: its name, its role, and the collections that it may use.

`serving.access` finds the caller of a call by its token. A call between services of the suite is made for the caller
whose call it serves: that identity travels with it, signed with a key that only the suite has (`access.suite_key`).
Nothing that a caller itself says about its identity is passed on or believed.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

MAX_COLLECTION_CHARACTERS = 63
_COLLECTION_ID = re.compile(rf"[a-z][a-z0-9-]{{0,{MAX_COLLECTION_CHARACTERS - 1}}}")


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

    def may_use(self, collection: str) -> bool:
        """Return whether a collection is among those that the caller may use."""
        return self.collections is None or collection in self.collections


# Everybody, where no callers are configured.
ANONYMOUS = Caller("anonymous", Role.ADMIN)
# Who has not said who it is, where callers are configured.
UNKNOWN = Caller("unknown", Role.READ, frozenset())
# The suite's own work, for no caller.
SUITE = Caller("semsearch", Role.ADMIN)

_current: ContextVar[Caller] = ContextVar("caller", default=ANONYMOUS)
_is_from_suite: ContextVar[bool] = ContextVar("is_from_suite", default=True)


def current() -> Caller:
    """Return the current call's caller."""
    return _current.get()


def is_from_suite() -> bool:
    """Return whether the current call comes from a service of the suite; where no callers are configured, it may."""
    return _is_from_suite.get()


def begin(caller: Caller, *, from_suite: bool = False) -> None:
    """Set the current call's caller, and whether a service of the suite calls on its behalf."""
    _current.set(caller)
    _is_from_suite.set(from_suite)


def is_collection_id(text: str) -> bool:
    """Return whether a collection may have this id."""
    return _COLLECTION_ID.fullmatch(text) is not None
