"""The lease: which of the gateways of one index is the owner.

Any number of gateways may serve the collections of one index, on one machine or on several. The owner alone makes
changes: it writes to collections, switches models, fills words and sweeps. So the state that coordinates changes
(locks, holds, uploads in progress) can stay in the memory of one process. The others answer reads, and pass changes on
to the owner (`api/forwarding`).

The index service grants the lease for a time (ttl), under a number that grows (see coordination_service.proto). A
`Term` is the time during which this process is the owner, or is not, without a break.

Contract:
1. At most one process holds the lease. Its own clock starts before it asks, and runs fast enough for differences
   between clocks, so its `Term.is_held` ends before the index service grants the lease to another.
2. A process that is suspended does not see the end of its term. So each change carries the term's number, and the index
   refuses it once there is a higher one: no change of a former owner takes effect after the next owner's first.
3. When a term ends, everything that belongs to it ends: changes in progress are given up (`Term.ended`), and the state
   in memory is built anew for the next term (`terms`).
4. Free again: at once if the owner ends regularly; within `POLL_SECONDS` if its process was killed and another one
   runs on the same data folder; otherwise when the ttl is over.

See docs/decisions/0037-several-machines.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Protocol

import structlog

from gateway.backends.coordination import Leases, LeaseState
from gateway.errors import DependencyUnavailable, GatewayError, OwnerChanged
from gateway.living_processes import LivingProcesses
from serving.background import WorkHealth, keep_running

POLL_SECONDS = 0.2
LEASE = "gateway"
# The holder uses the lease for this share of its ttl: the rest is for the difference between two clocks.
_OWN_SHARE = 0.9
_RENEWALS = 3  # in a ttl
_GRANT_RETRY_SECONDS = 0.05
_METADATA_KEY = "semsearch-lease"
_WATCH = "watching"  # a subject of the health

Metadata = tuple[tuple[str, str], ...]

log = structlog.get_logger(__name__)


class Lease(Protocol):
    """The right to make changes."""

    @property
    def is_held(self) -> bool:
        """Whether this process is the owner."""

    @contextmanager
    def change(self) -> Iterator[Metadata]:
        """Enclose a call that changes something; yield the metadata that it must carry; raises `OwnerChanged`."""


class SoleProcess:
    """The lease of a process that is known to be the only one."""

    is_held = True

    @contextmanager
    def change(self) -> Iterator[Metadata]:
        """Enclose a call that changes something; it needs no metadata."""
        yield ()


class Term:
    """A time during which this process is the owner, under a number; or is not, if `number` is 0."""

    def __init__(self, number: int = 0, until: float = 0.0) -> None:
        self.number = number
        self.until = until  # by `now`
        self.ended = asyncio.Event()

    @property
    def is_held(self) -> bool:
        """Whether this process is the owner."""
        return now() < self.until and not self.ended.is_set()

    def end(self) -> None:
        """End the term; everything that belongs to it is given up."""
        self.ended.set()

    @contextmanager
    def change(self) -> Iterator[Metadata]:
        """Enclose a call that changes something; yield the metadata that it must carry.

        Raises:
            OwnerChanged: this process is not the owner, as far as it knows or as the index says.
        """
        if not self.number or self.ended.is_set():
            raise OwnerChanged
        try:
            yield ((_METADATA_KEY, f"{LEASE}:{self.number}"),)
        except OwnerChanged:
            self.end()
            raise


class OwnerLease:
    """Keeps trying to make this process the owner, and keeps it the owner."""

    def __init__(self, leases: Leases, processes: LivingProcesses, address: str, ttl_seconds: float) -> None:
        """Take part in the lease; `address` is where other gateways reach this process."""
        self._leases = leases
        self._processes = processes
        self._address = address
        self._ttl_seconds = ttl_seconds
        self._state: LeaseState | None = None  # None while the index does not answer
        self._number = 0  # the last that was seen
        self._holder = ""  # the address of the last other owner that was seen
        self._seen = asyncio.Event()
        self._begun = asyncio.Event()
        self._granted = asyncio.Event()
        self.term = Term()
        self.health = WorkHealth("lease")

    @property
    def is_known(self) -> bool:
        """Whether the index answers, and so whether it is known who is the owner."""
        return self._state is not None or self.term.is_held

    def holder(self) -> str:
        """Return another owner's address, or "" if none is known; it may have just ended.

        While the index does not answer, the last one that was known is still the owner, if any is.
        """
        return self._holder

    async def next_grant(self, number: int) -> int:
        """Wait until the lease is granted under another number, to this process or to another; return that."""
        while self._number == number:
            await self._granted.wait()
        return self._number

    async def next_term(self, term: Term) -> Term:
        """Wait until a term has ended and the next has begun; return that."""
        while self.term is term:
            await self._begun.wait()
        return self.term

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Take part during the `with` block, at whose end no change is in progress any more; then release the lease."""
        tasks = [asyncio.create_task(keep_running(self.health, work)) for work in (self._follow, self._keep)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            if number := self.term.number:
                with suppress(GatewayError, TimeoutError):
                    await self._leases.release(LEASE, number)

    async def _follow(self) -> None:
        """Keep `_state` up to date; run until cancelled."""
        while True:
            try:
                async for state in self._leases.watch(LEASE):
                    self.health.succeeded(_WATCH)
                    self._see(state)
            except TimeoutError:
                continue
            except DependencyUnavailable:  # of which health reports already
                self._see(None)
            except GatewayError as error:
                self.health.failed(error, _WATCH, expected=True)
            await asyncio.sleep(POLL_SECONDS)

    async def _keep(self) -> None:
        """Acquire the lease, keep it as long as possible, and acquire it again; run until cancelled."""
        while True:
            term = await self._acquired()
            self._begin(term)
            log.info("this process makes changes", number=term.number)
            try:
                await self._renew(term)
            finally:
                term.end()
            self._begin(Term())

    async def _acquired(self) -> Term:
        """Wait until the lease is granted to this process, and return the term."""
        while True:
            self._seen.clear()
            state = self._state
            ended = self._ended_holder(state)
            if state is None or not (state.is_free or ended or state.holder == self._processes.own):
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._seen.wait()
                continue
            asked = now()
            try:
                granted, state = await self._leases.acquire(
                    LEASE, self._processes.own, self._address, self._ttl_seconds, ended
                )
            except (GatewayError, TimeoutError) as error:
                if not isinstance(error, DependencyUnavailable | TimeoutError):  # of which health reports already
                    self.health.failed(error, expected=True)
                await asyncio.sleep(POLL_SECONDS)
                continue
            self.health.succeeded()
            self._see(state)
            if granted:
                return Term(state.number, asked + _OWN_SHARE * self._ttl_seconds)
            if state.is_free:  # changes of the former owner are still in progress
                await asyncio.sleep(_GRANT_RETRY_SECONDS)

    def _ended_holder(self, state: LeaseState | None) -> str:
        return state.holder if state and state.holder and self._processes.has_ended(state.holder) else ""

    async def _renew(self, term: Term) -> None:
        """Renew the lease until it is lost."""
        pause = self._ttl_seconds / _RENEWALS
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(pause, term.until - now()))):
                    await term.ended.wait()
            if term.ended.is_set():  # a change was refused
                log.warning("another process makes changes", number=term.number)
                return
            asked = now()
            try:
                await self._leases.renew(LEASE, term.number)
            except OwnerChanged:
                log.warning("another process makes changes", number=term.number)
                return
            except (DependencyUnavailable, TimeoutError) as error:
                pause = POLL_SECONDS
                if now() >= term.until:
                    log.warning("the right to make changes could not be renewed", number=term.number, error=str(error))
                    return
            else:
                # Also after the term seemed over, as after a suspension: nobody has asked for the lease since.
                pause = self._ttl_seconds / _RENEWALS
                term.until = asked + _OWN_SHARE * self._ttl_seconds

    def _begin(self, term: Term) -> None:
        self.term.end()
        self.term = term
        self._begun.set()
        self._begun = asyncio.Event()

    def _see(self, state: LeaseState | None) -> None:
        if state is not None and state.number != self._number:
            self._number = state.number
            self._granted.set()
            self._granted = asyncio.Event()
        if state is not None:
            self._holder = "" if state.is_free or state.holder == self._processes.own else state.address
        self._state = state
        self._seen.set()


def now() -> float:
    """Return the time in seconds of a clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
