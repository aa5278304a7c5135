"""Quotas on a virtual clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.callers import ANONYMOUS, Caller, Role
from serving.errors import to_status
from serving.quotas.allowances import Allowance, Allowances, OwnAllowance
from serving.quotas.errors import DayUsedUp, QuotaExceeded, RateExceeded, TooManyCalls
from serving.quotas.limiter import Limiter
from serving.quotas.meter import Meter
from serving.quotas.quota import Kind, Quota
from serving.received_errors import from_status, retry_delay_seconds

MS = 1_000_000
SECOND = 1_000 * MS
DAY = 86_400
ANN = Caller("ann", Role.WRITE)
BOB = Caller("bob", Role.READ)
READ, WRITE, EMBED = Kind


@dataclass
class Clock:
    """Both clocks of a limiter; `began` is when they were started, in seconds since 1970."""

    began: int = 20_000 * DAY
    ns: int = 0
    limiter: Limiter = field(init=False)

    def limit(self, allowances: Allowances) -> Limiter:
        self.limiter = Limiter(allowances, lambda: self.ns, lambda: self.began + self.ns / SECOND)
        return self.limiter

    def refusal(self, units: Mapping[Kind, int], caller: Caller = ANN, peer: str = "") -> QuotaExceeded | None:
        try:
            self.limiter.take(caller, peer, units)
        except QuotaExceeded as error:
            return error
        return None

    def pass_seconds(self, seconds: float) -> None:
        self.ns += round(seconds * SECOND)


def sent_delay_ns(refusal: QuotaExceeded) -> int:
    """Return what a caller reads in RetryInfo."""
    delay = retry_delay_seconds(to_status(refusal, {}))
    assert delay is not None
    return round(delay * SECOND)


quotas = st.builds(
    lambda units, period, burst, per_day: Quota(math.ceil(period * SECOND / units) if units else 0, burst, per_day),
    st.integers(0, 5_000),
    st.sampled_from([1, 60, 3_600]),
    st.integers(1, 50),
    st.one_of(st.just(0), st.integers(1, 200)),
)
costs = st.dictionaries(st.sampled_from(list(Kind)), st.integers(1, 80), min_size=1)
pauses = st.one_of(st.just(0), st.integers(0, 3 * SECOND), st.integers(0, 2 * DAY * SECOND))


@settings(deadline=None, max_examples=60)
@given(
    st.builds(Allowance, quotas, quotas, quotas),
    st.lists(st.tuples(pauses, costs), min_size=1, max_size=12),
    st.integers(0, DAY * 1_000),
)
def test_a_refused_call_is_admitted_after_exactly_the_time_that_it_was_told_and_not_much_earlier(
    allowance: Allowance, calls: list[tuple[int, dict[Kind, int]]], time_of_day_ms: int
) -> None:
    clock = Clock(ns=time_of_day_ms * MS)
    clock.limit(Allowances(allowance))
    for pause, units in calls:
        clock.ns += pause
        refusal = clock.refusal(units)
        if refusal is None:
            continue
        delay = sent_delay_ns(refusal)
        assert delay > 0
        # The wait of a daily quota ends at midnight by a clock in seconds; that of a rate is exact.
        almost = delay - MS - (1_000 if isinstance(refusal, DayUsedUp) else 1)
        if almost > 0:
            clock.ns += almost
            assert clock.refusal(units) is not None, "it was told to wait longer than necessary"
            clock.ns -= almost
        clock.ns += delay
        again = clock.refusal(units)
        # Midnight frees the daily quota; a rate may have to be waited for as well, which is at most its own time.
        if isinstance(refusal, DayUsedUp) and isinstance(again, RateExceeded):
            clock.ns += sent_delay_ns(again)
            again = clock.refusal(units)
        assert again is None


@settings(deadline=None, max_examples=60)
@given(quotas, st.lists(st.tuples(st.integers(0, SECOND), st.integers(1, 20)), max_size=30))
def test_a_caller_never_gets_more_than_its_burst_and_its_rate(quota: Quota, calls: list[tuple[int, int]]) -> None:
    clock = Clock()
    clock.limit(Allowances(Allowance(read=Quota(quota.interval_ns, quota.burst))))
    admitted = 0
    for pause, units in calls:
        clock.ns += pause
        if clock.refusal({READ: units}) is None:
            admitted += units
            if quota.interval_ns:
                # A call larger than the burst is admitted alone, from a full bucket.
                assert admitted <= quota.burst + clock.ns // quota.interval_ns + max(0, units - quota.burst)


def test_callers_do_not_share_their_quotas_and_addresses_without_a_name_have_their_own() -> None:
    clock = Clock()
    clock.limit(Allowances(Allowance(read=Quota.parse("1/hour"))))
    for caller, peer in [
        (ANN, "ipv4:10.0.0.1:1"),
        (BOB, "ipv4:10.0.0.1:1"),
        (ANONYMOUS, "ipv4:10.0.0.1:1"),
        (ANONYMOUS, "ipv4:10.0.0.2:1"),
        (ANONYMOUS, "ipv6:%5B2001:db8::1%5D:1"),
        (ANONYMOUS, "2001:db8:1::1:1"),
        (Caller("10.0.0.1", Role.READ), ""),
    ]:
        assert clock.refusal({READ: 1}, caller, peer) is None
    for caller, peer in [
        (ANN, "ipv4:10.0.0.9:9"),
        (ANONYMOUS, "10.0.0.1:2"),
        (ANONYMOUS, "ipv6:%5B::ffff:10.0.0.2%5D:2"),
        (ANONYMOUS, "ipv6:[2001:db8::2]:1"),
    ]:
        assert isinstance(clock.refusal({READ: 1}, caller, peer), RateExceeded)


def test_an_own_allowance_comes_before_that_of_the_role_and_both_before_everyones() -> None:
    allowances = Allowances(
        Allowance(Quota.parse("1/s"), Quota.parse("1/s"), calls=5),
        {Role.WRITE: OwnAllowance(read_quota=Quota.parse("2/s"), write_quota=Quota.parse("2/s"))},
        {"ann": OwnAllowance(read_quota=Quota.parse("3/s"))},
    )
    assert allowances.of(ANN) == Allowance(Quota.parse("3/s"), Quota.parse("2/s"), calls=5)
    assert allowances.of(BOB) == allowances.everyone
    assert not allowances.are_daily


def test_a_refused_call_takes_nothing() -> None:
    clock = Clock()
    clock.limit(Allowances(Allowance(read=Quota.parse("2/s, 100/day"), embed=Quota.parse("1/s"))))
    assert clock.refusal({READ: 1, EMBED: 1}) is None
    for _ in range(3):
        assert clock.refusal({READ: 1, EMBED: 1}) is not None
    assert clock.refusal({READ: 1}) is None
    assert [use.used_today for use in clock.limiter.standing(ANN, "").uses] == [2, 0, 0]


def test_the_status_names_the_quota_and_says_when_to_try_again() -> None:
    clock = Clock()
    clock.limit(Allowances(Allowance(embed=Quota.parse("10/day"))))
    assert clock.refusal({EMBED: 10}) is None
    clock.pass_seconds(3_600)
    refusal = clock.refusal({EMBED: 1})
    assert refusal is not None
    status = to_status(refusal, {})
    assert from_status(status) == ("QUOTA_USED_UP", {"quota": "embed/day", "limit": "10"})
    assert retry_delay_seconds(status) == 23 * 3_600
    failure = error_details_pb2.QuotaFailure()
    assert any(detail.Unpack(failure) for detail in status.details)
    (violation,) = failure.violations
    assert (violation.subject, violation.quota_id, violation.quota_value) == ("caller ann", "embed/day", 10)


def test_a_changed_quota_counts_at_once() -> None:
    clock = Clock()
    clock.limit(Allowances(Allowance(read=Quota.parse("1/hour"))))
    assert clock.refusal({READ: 1}) is None
    assert clock.refusal({READ: 1}) is not None
    clock.limiter.allowances = Allowances(Allowance(read=Quota.parse("5/s")))
    assert clock.refusal({READ: 5}) is None
    assert clock.refusal({READ: 1}) is not None
    clock.limiter.allowances = Allowances()
    assert clock.refusal({READ: 1_000_000}) is None


def test_what_is_given_back_may_be_used_again() -> None:
    clock = Clock()
    limiter = clock.limit(Allowances(Allowance(read=Quota.parse("1/hour, burst 2, 3/day"))))
    for _ in range(5):
        limiter.give_back(limiter.take(ANN, "", {READ: 2, EMBED: 1}))
    assert clock.refusal({READ: 2}) is None
    assert isinstance(clock.refusal({READ: 1}), RateExceeded)
    assert [use.used_today for use in limiter.standing(ANN, "").uses] == [2, 0, 0]


def test_what_is_given_back_late_gives_no_more_than_the_burst_and_counts_for_its_own_day() -> None:
    clock = Clock()
    limiter = clock.limit(Allowances(Allowance(read=Quota.parse("1/s, burst 2, 100/day"))))
    payment = limiter.take(ANN, "", {READ: 2})
    clock.pass_seconds(DAY)
    limiter.give_back(payment)
    assert [clock.refusal({READ: 1}) is None for _ in range(3)] == [True, True, False]
    assert limiter.standing(ANN, "").uses[0].used_today == 2
    clock.limiter.allowances = Allowances()
    limiter.give_back(payment)
    assert clock.refusal({READ: 1_000}) is None


def test_calls_in_progress_are_counted_by_caller_and_forgotten() -> None:
    limiter = Clock().limit(Allowances(Allowance(calls=2)))
    with limiter.in_progress(ANN, ""), limiter.in_progress(ANN, ""), limiter.in_progress(BOB, ""):
        with pytest.raises(TooManyCalls) as refused, limiter.in_progress(ANN, ""):
            pass
        assert from_status(to_status(refused.value, {}))[0] == "TOO_MANY_CALLS"
    with limiter.in_progress(ANN, ""):
        assert len(limiter._calls) == 1


def test_a_crowd_of_callers_is_bounded_and_clears_no_large_debt() -> None:
    meter, quota = Meter(most_callers=100), Quota.parse("1/minute")
    meter.take("greedy", quota, 100, 0)
    for number in range(10_000):
        meter.take(str(number), quota, 1, number)
        assert len(meter) <= 100
    assert meter.wait("greedy", quota, 1, 10_000) > 0
    meter.take("late", quota, 1, 10**15)
    for number in range(100):
        meter.take(f"later {number}", quota, 1, 10**15)
    assert meter.wait("greedy", quota, 1, 10**15) == 0
