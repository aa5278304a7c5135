"""The gate that holds each call to its caller's allowance.

A call pays when its request has arrived and all gates have let it in, so one that admission refuses costs nothing. One
that ends as OVERLOADED, because a service behind refuses it, gets back what it paid. In a stream each message pays, and
one that comes too early for a rate waits: its sender is slowed down, and nothing is lost. A daily quota ends it. Calls
that a service of the suite makes for a caller were paid for where they entered the suite.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from prometheus_client import Counter

from serving import callers
from serving.background import WorkHealth
from serving.callers import Caller
from serving.error_status import ErrorTable
from serving.errors import is_overloaded
from serving.gates import Call
from serving.quotas.costs import Cost, read
from serving.quotas.day_counts import exchange
from serving.quotas.errors import QuotaExceeded
from serving.quotas.limiter import Limiter, Payment, Standing, name_of

_SECONDS_BETWEEN_EXCHANGES = 5.0
REFUSED = Counter("semsearch_quota_refusals", "Calls that were refused for a quota, by the quota's name.", ["quota"])


class QuotaGate:
    """Counts each call and its messages, by the costs of its method (`costs`).

    The counts of the day are in `file`, which the processes of a service share.
    """

    def __init__(self, limiter: Limiter, costs: Mapping[str, Cost], file: Path, errors: ErrorTable) -> None:
        self.limiter = limiter
        self._costs = costs
        self._file = file
        self._errors = errors
        self._storing = WorkHealth("storing-daily-quotas")

    @asynccontextmanager
    async def enter(self, call: Call) -> AsyncIterator[None]:
        """Count the call as in progress; raises `TooManyCalls`."""
        _standing.set(lambda: self.limiter.standing(callers.current(), call.peer))
        if _is_paid():
            yield
            return
        payments: list[Payment] = []
        _payments.set(payments)
        with _counted(), self.limiter.in_progress(callers.current(), call.peer):
            try:
                yield
            except Exception as error:
                if is_overloaded(error, self._errors):
                    for each in payments:
                        self.limiter.give_back(each)
                raise

    def has_room(self, caller: Caller) -> bool:
        """Return whether `enter` would let in another call of a caller that has a name."""
        return self.limiter.has_room(name_of(caller, ""), caller)

    def check(self, call: Call, request: Any) -> None:
        """Have a message paid for; raises `RateExceeded` or `DayUsedUp`."""
        if not _is_paid():
            cost = self._costs.get(f"{call.service}/{call.method}", read)
            payment = self.limiter.take(callers.current(), call.peer, cost(request))
            if not call.is_stream:
                _payments.get().append(payment)

    @asynccontextmanager
    async def keeping_counts(self) -> AsyncIterator[None]:
        """Exchange the counts of the day with the file, again and again, and at the end once more."""
        ending = asyncio.Event()
        task = asyncio.create_task(self._keep_counts(ending))
        try:
            yield
        finally:
            ending.set()
            await task

    async def _keep_counts(self, ending: asyncio.Event) -> None:
        """Exchange until `ending`. An exchange cannot be stopped, so it is never cancelled: it would count twice."""
        while not ending.is_set():
            await self._exchange()
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_BETWEEN_EXCHANGES):
                    await ending.wait()
        await self._exchange()

    async def _exchange(self) -> None:
        if not self.limiter.allowances.are_daily:
            return
        days = self.limiter.days
        day, added = days.take_added(time.time())
        try:
            stored = await asyncio.to_thread(exchange, self._file, day, added)
        except (OSError, sqlite3.Error) as error:
            days.put_back(day, added)
            self._storing.failed(error, expected=True)
        else:
            days.replace(day, stored)
            self._storing.succeeded()


def standing() -> Standing:
    """Return what the current call's caller may do and has done."""
    return _standing.get()()


_standing: ContextVar[Callable[[], Standing]] = ContextVar("standing", default=lambda: Standing("", 0, (), 0))


# What the current call has paid; of a stream, much was answered when a message is refused, so nothing is noted.
_payments: ContextVar[list[Payment]] = ContextVar("payments")


@contextmanager
def _counted() -> Iterator[None]:
    """Count a refusal by any gate or message in the metrics."""
    try:
        yield
    except QuotaExceeded as error:
        REFUSED.labels(error.quota_id).inc()
        raise


def _is_paid() -> bool:
    """Return whether a service of the suite calls; without tokens nobody knows, and everybody is anonymous."""
    return callers.is_from_suite() and callers.current() is not callers.ANONYMOUS
