"""The gate that lets as many calls in as the service can answer well, and refuses the others at once (`admission`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from serving import deadlines, lanes
from serving.admission import Admission, Outcome, Ticket, TooBusy
from serving.error_status import ErrorTable
from serving.errors import is_overloaded
from serving.gates import Call, GateAfterRequest
from serving.lanes import Lane

_LIMIT = Gauge("semsearch_admission_limit", "Calls that may be answered at the same time.")
_IN_FLIGHT = Gauge("semsearch_admission_in_flight", "Admitted calls that are being answered, by lane.", ["lane"])
_WAITING = Gauge("semsearch_admission_waiting", "Calls that wait until they may begin, by lane.", ["lane"])
_WAITED = Histogram(
    "semsearch_admission_wait_seconds",
    "How long calls waited until they began, by lane.",
    ["lane"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.2, 0.5, 1, 2, 4),
)
_REFUSED = Counter("semsearch_admission_refused", "Calls refused because the service is too busy, by lane.", ["lane"])

# For services that only our own call: to refuse is the gateway's part, which sees how long a whole call takes.
INNER_WAITS: Mapping[Lane, float] = {Lane.INTERACTIVE: 0.04, Lane.BULK: 10.0}


@dataclass(frozen=True)
class MethodLanes:
    """The lane of each method of a process, by "<service>/<method>".

    Methods that are `limited` count against the limit. The `unlimited` ones do not: streams, which take as long as
    their caller likes and have bounds of their own; rare ones that take long; and those that must not fail under load,
    such as the renewal of a lease. `waits` is for services that only our own call: how many seconds calls of each lane
    may wait.
    """

    limited: Mapping[str, Lane] = field(default_factory=dict)
    unlimited: Mapping[str, Lane] = field(default_factory=dict)
    waits: Mapping[Lane, float] = field(default_factory=dict)


class AdmissionGate(GateAfterRequest):
    """The gate of one process."""

    def __init__(self, methods: MethodLanes, errors: ErrorTable) -> None:
        self._methods = methods
        self._errors = errors
        self._admission = Admission(perf_counter(), methods.waits)
        _LIMIT.set_function(lambda: self._admission.limit)
        for lane in Lane:
            _IN_FLIGHT.labels(lane.value).set_function(partial(self._admission.in_flight, lane))
            _WAITING.labels(lane.value).set_function(partial(self._admission.waiting, lane))

    @asynccontextmanager
    async def enter(self, call: Call) -> AsyncIterator[None]:
        """Take the call's lane, and its turn.

        Raises:
            TooBusy: Its turn would come too late.
        """
        name = f"{call.service}/{call.method}"
        limited = self._methods.limited.get(name)
        lane = _lane(limited or self._methods.unlimited.get(name, Lane.INTERACTIVE), call.metadata)
        lanes.begin(lane)
        if limited is None:
            yield
            return
        async with self._turn(name, lane, call.seconds):
            yield

    def check(self, call: Call, request: Any) -> None:
        """Let every message pass."""

    def lane_of_refused(self, method: str, metadata: Mapping[str, str]) -> Lane | None:
        """Return the lane of a call that `enter` would refuse now whatever its deadline; None if it might not."""
        usual = self._methods.limited.get(method)
        if usual is None:
            return None
        lane = _lane(usual, metadata)
        return lane if self._admission.refuses(method, lane, perf_counter()) else None

    def count_refused(self, lane: Lane) -> int:
        """Count a call that was refused without `enter`, and return the limit."""
        _REFUSED.labels(lane.value).inc()
        self._admission.count_refused(lane, perf_counter())
        return self._admission.limit

    @asynccontextmanager
    async def _turn(self, method: str, lane: Lane, seconds: float | None) -> AsyncIterator[None]:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        arrived = perf_counter()

        def begin() -> None:
            if not turn.done():  # else its caller has just left
                turn.set_result(None)

        try:
            ticket = self._admission.arrive(method, lane, arrived, begin, seconds)
        except TooBusy:
            _REFUSED.labels(lane.value).inc()
            raise
        ended = Outcome.OTHER
        try:
            if not turn.done():
                await self._wait(turn, ticket)
            _WAITED.labels(lane.value).observe(perf_counter() - arrived)
            yield
            ended = Outcome.ANSWERED
        except (asyncio.CancelledError, TimeoutError):
            if deadlines.have_passed():
                ended = Outcome.ANSWERED  # it took at least as long
            raise
        except TooBusy:
            ended = Outcome.GAVE_UP
            raise
        except Exception as error:
            if is_overloaded(error, self._errors):
                ended = Outcome.REFUSED_BEHIND
            raise
        finally:
            self._admission.leave(ticket, perf_counter(), ended)

    async def _wait(self, turn: asyncio.Future[None], ticket: Ticket) -> None:
        try:
            async with asyncio.timeout(ticket.patience):
                await turn
        except TimeoutError:
            _REFUSED.labels(ticket.lane.value).inc()
            raise TooBusy(ticket.lane, self._admission.limit) from None


def _lane(usual: Lane, metadata: Mapping[str, str]) -> Lane:
    return Lane.BULK if usual is Lane.BULK else lanes.of_metadata(metadata)
