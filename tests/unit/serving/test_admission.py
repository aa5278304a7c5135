"""Admission and its limit, with a simulated service: workers that take calls in their order, and a clock of its own."""

from __future__ import annotations

import heapq
import itertools
import random
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.adaptive_limit import FIRST, LEAST, MOST, SLOWDOWN
from serving.admission import Admission, Outcome, Ticket, TooBusy
from serving.lanes import Lane

INTERACTIVE, BULK = Lane.INTERACTIVE, Lane.BULK
REFUSAL_SECONDS = 0.05


@dataclass
class Result:
    """A call's end: when, after how long, and whether it was answered."""

    lane: Lane
    at: float
    seconds: float
    answered: bool


@dataclass
class SimulatedService:
    """`workers` answer calls behind an admission; a call takes `seconds(lane)`."""

    workers: int
    seconds: Callable[[Lane], float]
    random: random.Random
    now: float = 0.0
    results: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.admission = Admission(0.0)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._inside: deque[Callable[[], None]] = deque()
        self._busy = 0

    def offer(self, a_second: float, lane: Lane, since: float, until: float) -> None:
        """Let calls arrive at random times, whether or not earlier ones were answered."""

        def arrive() -> None:
            if self.now < until:
                self._arrive(lane)
                self._later(self.random.expovariate(a_second), arrive)

        self._later(since - self.now, arrive)

    def burst(self, calls: int, lane: Lane, at: float) -> None:
        """Let calls arrive at the same time."""
        for _ in range(calls):
            self._later(at - self.now, lambda: self._arrive(lane))

    def keep_calling(self, clients: int, lane: Lane, since: float, until: float) -> None:
        """Let clients call again as soon as they are answered."""

        def call() -> None:
            if self.now < until:
                self._arrive(lane, call)

        for _ in range(clients):
            self._later(since - self.now, call)

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
            assert self.admission.in_flight(INTERACTIVE) <= MOST

    def goodput(self, lane: Lane, since: float, until: float) -> float:
        return sum(each.answered for each in self._between(lane, since, until)) / (until - since)

    def slowest(self, lane: Lane, since: float, until: float, share: float = 0.99) -> float:
        times = sorted(each.seconds for each in self._between(lane, since, until) if each.answered)
        return times[int(share * (len(times) - 1))]

    def refusals(self, lane: Lane, since: float, until: float) -> list[float]:
        return [each.seconds for each in self._between(lane, since, until) if not each.answered]

    def _between(self, lane: Lane, since: float, until: float) -> list[Result]:
        return [each for each in self.results if each.lane is lane and since <= each.at < until]

    def _later(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._number), event))

    def _arrive(self, lane: Lane, then: Callable[[], None] = lambda: None) -> None:
        arrived = self.now
        place: list[Ticket] = []

        def finish() -> None:
            self._busy -= 1
            self.admission.leave(place[0], self.now, Outcome.ANSWERED)
            self.results.append(Result(lane, self.now, self.now - arrived, answered=True))
            self._work()
            then()

        def begin() -> None:
            self._inside.append(lambda: self._later(self.seconds(lane), finish))
            self._work()

        def give_up() -> None:
            if place[0].began is None:
                self.admission.leave(place[0], self.now, Outcome.GAVE_UP)
                self.results.append(Result(lane, self.now, self.now - arrived, answered=False))
                self._later(REFUSAL_SECONDS, then)

        refused = self.admission.refuses("Method", lane, self.now)
        try:
            place.append(self.admission.arrive("Method", lane, self.now, begin))
            assert not refused
        except TooBusy:
            assert refused, "nothing else is a reason to refuse it"
            self.results.append(Result(lane, self.now, 0.0, answered=False))
            self._later(REFUSAL_SECONDS, then)
        else:
            self._later(place[0].patience, give_up)

    def _work(self) -> None:
        while self._inside and self._busy < self.workers:
            self._busy += 1
            self._inside.popleft()()


def service(workers: int, seconds: float, spread: float = 0.0, seed: int = 0) -> SimulatedService:
    """Return a service whose calls take `seconds`, of which a share varies at random."""
    source = random.Random(seed)
    return SimulatedService(
        workers, lambda _: seconds * (1 - spread) + spread * source.expovariate(1 / seconds), random.Random(seed + 1)
    )


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    workers=st.sampled_from([1, 2, 5]),
    seconds=st.sampled_from([0.02, 0.1]),
    overload=st.sampled_from([3.0, 5.0]),
    spread=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 1_000),
)
def test_an_overload_costs_no_goodput_and_bounds_waits(
    workers: int, seconds: float, overload: float, spread: float, seed: int
) -> None:
    simulated = service(workers, seconds, spread, seed)
    capacity = workers / seconds
    half = max(2.0, 300 / capacity)  # long enough to settle, and then to count
    simulated.offer(overload * capacity, INTERACTIVE, 0, 2 * half)
    simulated.run(2 * half)
    assert simulated.goodput(INTERACTIVE, half, 2 * half) >= 0.9 * capacity
    alone_p99 = seconds * (1 - spread) + spread * seconds * 4.6
    assert simulated.slowest(INTERACTIVE, half, 2 * half) <= 3 * alone_p99
    assert max(simulated.refusals(INTERACTIVE, half, 2 * half)) <= REFUSAL_SECONDS
    assert simulated.admission.waiting(INTERACTIVE) <= 4 * workers + LEAST


@settings(max_examples=4, deadline=None, derandomize=True)
@given(workers=st.sampled_from([4, 8]), seconds=st.sampled_from([0.01, 0.05]), seed=st.integers(0, 1_000))
def test_half_a_load_is_answered_completely(workers: int, seconds: float, seed: int) -> None:
    simulated = service(workers, seconds, seed=seed)
    until = 1_000 * seconds / workers
    simulated.offer(0.5 * workers / seconds, INTERACTIVE, 0, until)
    simulated.run(until + 1)
    assert len(simulated.refusals(INTERACTIVE, 0, until)) <= 0.02 * len(simulated.results)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize("begin", [30, 60], ids=["times are known", "times are measured anew"])
@pytest.mark.parametrize(("lane", "seconds"), [(INTERACTIVE, 0.05), (BULK, 0.2)])
def test_few_calls_are_late_when_an_overload_begins(lane: Lane, seconds: float, begin: int, seed: int) -> None:
    simulated = service(2, seconds, spread=0.1, seed=seed)
    capacity = 2 / seconds
    simulated.keep_calling(1, lane, 0, 10)
    simulated.keep_calling(8, lane, 10, 20)
    simulated.offer(4 * capacity, lane, begin, begin + 60)
    simulated.run(begin + 70)
    assert simulated.goodput(lane, begin, begin + 60) >= 0.9 * capacity
    assert simulated.slowest(lane, begin, begin + 70) <= 3 * simulated.slowest(lane, 0, 10)


def test_neither_lane_is_late_when_both_are_overloaded() -> None:
    seconds, source = {INTERACTIVE: 0.05, BULK: 0.2}, random.Random(3)
    simulated = SimulatedService(2, lambda lane: seconds[lane] * source.uniform(0.9, 1.1), source)
    for number, lane in enumerate(Lane):
        simulated.keep_calling(1, lane, 20 * number, 20 * number + 8)
        simulated.keep_calling(8, lane, 20 * number + 8, 20 * number + 16)
        simulated.offer(4 * 2 / seconds[lane], lane, 50, 110)
    simulated.run(120)
    for number, lane in enumerate(Lane):
        assert simulated.slowest(lane, 50, 120) <= 3 * simulated.slowest(lane, 20 * number, 20 * number + 8)
    work = sum(simulated.goodput(lane, 50, 110) * seconds[lane] for lane in Lane)
    assert work >= 0.9 * 2


def test_a_burst_is_answered_completely() -> None:
    simulated = service(4, 0.01)
    simulated.burst(5 * FIRST, INTERACTIVE, at=1.0)
    simulated.run(2)
    assert len(simulated.results) == 5 * FIRST
    assert not simulated.refusals(INTERACTIVE, 0, 2)


@pytest.mark.parametrize("seconds", [0.02, 0.2])
def test_the_connections_of_one_browser_are_no_overload(seconds: float) -> None:
    simulated = service(1, seconds, spread=0.5)
    simulated.keep_calling(1, INTERACTIVE, 0, 5)
    simulated.keep_calling(6, INTERACTIVE, 5, 60)
    simulated.run(70)
    assert not simulated.refusals(INTERACTIVE, 0, 70)


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_an_overload_ends_when_the_load_does(load: float) -> None:
    simulated = service(2, 0.02, spread=0.5)
    capacity = 2 / 0.02
    simulated.offer(load * capacity, INTERACTIVE, 0, 60)
    simulated.offer(4 * capacity, INTERACTIVE, 10, 20)
    simulated.run(60)
    assert len(simulated.refusals(INTERACTIVE, 25, 60)) <= 0.06 * load * capacity * 35


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_the_limit_follows_a_service_that_changes_its_speed(factor: float) -> None:
    seconds = {"now": 0.1}
    simulated = SimulatedService(4, lambda _: seconds["now"], random.Random(1))
    simulated.offer(3 * 4 / seconds["now"], INTERACTIVE, 0, 10)
    simulated.run(10)
    seconds["now"] *= factor
    until = 60  # unloaded times are measured anew after half a minute at the latest
    simulated.offer(3 * 4 / seconds["now"], INTERACTIVE, 10, until)
    simulated.run(until)
    assert simulated.goodput(INTERACTIVE, until - 10, until) >= 0.9 * 4 / seconds["now"]
    assert simulated.admission.limit <= 1.5 * SLOWDOWN * 4


def test_calls_of_another_kind_do_not_keep_the_limit_low() -> None:
    """Heavier requests of the same method look like an overload until they are measured alone."""
    seconds = {"now": 0.01}
    simulated = SimulatedService(16, lambda _: seconds["now"], random.Random(2))
    simulated.offer(200, INTERACTIVE, 0, 5)
    simulated.run(5)
    seconds["now"] = 0.1
    simulated.offer(100, INTERACTIVE, 5, 20)  # ten at a time
    simulated.run(20)
    assert len(simulated.refusals(INTERACTIVE, 10, 20)) <= 100  # of a thousand


@settings(max_examples=3, deadline=None, derandomize=True)
@given(bulk_factor=st.sampled_from([4, 10]), overload=st.floats(2.0, 4.0), seed=st.integers(0, 1_000))
def test_neither_lane_starves_the_other(bulk_factor: int, overload: float, seed: int) -> None:
    workers, seconds = 4, 0.01
    simulated = SimulatedService(
        workers, lambda lane: seconds * (bulk_factor if lane is BULK else 1), random.Random(seed)
    )
    capacity = workers / seconds
    simulated.offer(overload * capacity / bulk_factor, BULK, 0, 9)
    simulated.offer(0.25 * capacity, INTERACTIVE, 2, 9)
    simulated.run(9)
    asked = 0.25 * capacity
    assert simulated.goodput(INTERACTIVE, 5, 9) >= 0.8 * asked
    work = simulated.goodput(INTERACTIVE, 5, 9) + bulk_factor * simulated.goodput(BULK, 5, 9)
    # Bulk calls hold at most a third of the limit, so that nobody waits for many of them.
    assert work >= 0.7 * capacity
    assert simulated.goodput(BULK, 5, 9) > 0


@pytest.mark.parametrize(("bulk_seconds", "searchers"), [(0.02, 12), (0.1, 8), (2.0, 12)])
def test_bulk_calls_get_turns_beside_interactive_calls_that_always_wait(
    bulk_seconds: float, searchers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "REFUSAL_SECONDS", 1.0)  # as refusals ask
    simulated = SimulatedService(2, lambda lane: 0.02 if lane is INTERACTIVE else bulk_seconds, random.Random(1))
    simulated.keep_calling(searchers, INTERACTIVE, 0, 120)
    simulated.keep_calling(4, BULK, 5, 120)
    simulated.run(120)
    # A worker's turns are every fourth time those of bulk calls, which are longer.
    assert simulated.goodput(BULK, 60, 120) >= 0.1 * 2 / bulk_seconds
    assert simulated.goodput(INTERACTIVE, 60, 120) >= 0.4 * 2 / 0.02


def test_a_call_that_cannot_finish_before_its_deadline_is_refused_on_arrival() -> None:
    admission = Admission(0.0)
    for _ in range(20):  # one by one, so that it learns how long a call takes
        admission.leave(admission.arrive("Method", INTERACTIVE, 0.0, lambda: None), 0.01, Outcome.ANSWERED)
    for _ in range(admission.limit):
        admission.arrive("Method", INTERACTIVE, 1.0, lambda: None, seconds=0.001)  # it may try: nothing is ahead of it
    with pytest.raises(TooBusy):
        admission.arrive("Method", INTERACTIVE, 1.0, lambda: None, seconds=0.001)
    assert admission.arrive("Method", INTERACTIVE, 1.0, lambda: None, seconds=1.0).began is None


def test_a_caller_that_leaves_while_it_waits_takes_no_turn() -> None:
    admission = Admission(0.0)
    begun: list[str] = []
    places = [admission.arrive("Method", INTERACTIVE, 0.0, lambda: None) for _ in range(FIRST)]
    gone = admission.arrive("Method", INTERACTIVE, 0.0, lambda: begun.append("gone"))
    admission.arrive("Method", INTERACTIVE, 0.0, lambda: begun.append("here"))
    admission.leave(gone, 0.0)
    admission.leave(places[0], 0.001)
    assert begun == ["here"]


def test_refusals_of_a_service_behind_lower_the_limit() -> None:
    admission = Admission(0.0)
    for number in range(40):  # three of four are refused behind
        now = 0.05 * number
        places = [admission.arrive("Method", INTERACTIVE, now, lambda: None) for _ in range(admission.limit)]
        for place in places:
            admission.leave(place, now + 0.04, Outcome.REFUSED_BEHIND)
    assert admission.limit == LEAST
