"""Leases: the right to make changes, for one holder at a time.

Invariants:
1. A lease's number grows with each grant. Also if the database was lost or restored from a backup: a number is at least
   the number of seconds since 1970, so a number from before is not given again.
2. A lease is granted only if it is free: never granted, released, expired when somebody asked for it, or asked for by
   its holder itself or by somebody who knows that the holder has ended.
3. Changes are admitted only under the number of a lease that is not free. A lease is granted only when no change under
   its former number is in progress. So no change under a lower number takes effect after a grant.
4. A grant is on disk before it is known to anyone. Times are not stored: after a restart of the service each lease that
   was not released keeps its number and its holder, who has the whole ttl to renew it.

A holder that cannot be reached delays others by at most the ttl. A change in progress delays a grant until it ends; it
must not depend on the holder, which may be suspended.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from index_service.coordination.database import Database, StoredLease
from index_service.coordination.errors import LeaseLost

Clock = Callable[[], float]


@dataclass(frozen=True)
class Lease:
    """A lease as it is now; `remaining_seconds` is None if it is free."""

    name: str
    number: int = 0
    holder: str = ""
    address: str = ""
    ttl_seconds: float = 0.0
    remaining_seconds: float | None = None


@dataclass(frozen=True)
class Grant:
    """The answer to a request for a lease: whether it was granted, and the lease as it is now."""

    granted: bool
    lease: Lease


@dataclass
class _State:
    stored: StoredLease
    expires: float | None = None  # None: free
    is_being_granted: bool = False


class Leases:
    """The leases of a data folder; thread-safe. Only `acquire` and `release` wait for the disk."""

    def __init__(self, database: Database, clock: Clock = time.monotonic, wall_clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock
        self._wall_clock = wall_clock
        self._lock = threading.Lock()  # never held while something waits
        self._in_progress: Counter[str] = Counter()  # changes, by lease
        self._listeners: list[Callable[[], object]] = []
        now = clock()
        self._states = {
            each.name: _State(each, now + each.ttl_seconds if each.holder else None) for each in database.leases()
        }

    def get(self, name: str) -> Lease:
        """Return a lease."""
        with self._lock:
            return self._view(name)

    def acquire(self, name: str, holder: str, address: str, ttl_seconds: float, ended_holder: str = "") -> Grant:
        """Grant a lease to `holder` if it is free and no change under its former number is in progress.

        Neither the present holder itself nor whoever names it as `ended_holder` has to wait for the ttl.

        Raises:
            TooManyNames: there are too many leases.
            StorageFull: the grant cannot be written; the lease is free.
        """
        with self._lock:
            lease = self._view(name)
            if lease.remaining_seconds is not None and lease.holder not in (holder, ended_holder):
                return Grant(False, lease)
            state = self._states.get(name)
            if state is not None:
                state.expires = None  # from here on, changes under its number are refused
                if state.is_being_granted or self._in_progress[name]:
                    return Grant(False, self._view(name))
            else:
                state = self._states[name] = _State(StoredLease(name))
            state.is_being_granted = True
            number = max(state.stored.number + 1, int(self._wall_clock()))
        stored = StoredLease(name, number, holder, address, ttl_seconds)
        try:
            self._database.put_lease(stored)
        except BaseException:
            with self._lock:
                state.is_being_granted = False
                if not state.stored.number:
                    del self._states[name]
            raise
        with self._lock:
            state.stored, state.expires, state.is_being_granted = stored, self._clock() + ttl_seconds, False
            lease = self._view(name)
        self._notify()
        return Grant(True, lease)

    def renew(self, name: str, number: int) -> None:
        """Extend a lease by its ttl from now; raises `LeaseLost`."""
        with self._lock:
            had_expired = self._view(name).remaining_seconds is None
            state = self._held(name, number)
            state.expires = self._clock() + state.stored.ttl_seconds
        if had_expired:
            self._notify()

    def release(self, name: str, number: int) -> None:
        """End a lease at once; do nothing if it was granted to someone else or has ended."""
        with self._lock:
            state = self._states.get(name)
            if state is None or state.stored.number != number or state.is_being_granted:
                return
            state.expires = None
            state.is_being_granted = True  # nobody else writes it meanwhile
            stored = StoredLease(name, number)
        try:
            self._database.put_lease(stored)
        finally:
            with self._lock:
                state.stored, state.is_being_granted = stored, False
            self._notify()

    @contextmanager
    def watched(self, listener: Callable[[], object]) -> Iterator[None]:
        """Call `listener`, on any thread, after each change of a lease during the `with` block; not when it expires."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def begin_change(self, name: str, number: int) -> None:
        """Admit a change under a lease's number; `end_change` must follow when it can no longer take effect.

        Raises:
            LeaseLost: the lease has another number or is free.
        """
        with self._lock:
            self._held(name, number)
            self._in_progress[name] += 1

    def end_change(self, name: str) -> None:
        """Record that a change has ended, however it ended."""
        with self._lock:
            self._in_progress[name] -= 1
            if not self._in_progress[name]:
                del self._in_progress[name]

    def _held(self, name: str, number: int) -> _State:
        state = self._states.get(name)
        if state is None or state.stored.number != number or state.expires is None:
            raise LeaseLost(name, number)
        return state

    def _view(self, name: str) -> Lease:
        state = self._states.get(name)
        if state is None:
            return Lease(name)
        stored = state.stored
        remaining = None if state.expires is None else state.expires - self._clock()
        if remaining is not None and remaining <= 0:
            remaining = None
        return Lease(name, stored.number, stored.holder, stored.address, stored.ttl_seconds, remaining)

    def _notify(self) -> None:
        for listener in tuple(self._listeners):
            listener()
