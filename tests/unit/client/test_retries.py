"""When a failed call is sent again, measured by a clock that only the test advances."""

from __future__ import annotations

import itertools

import pytest
from semsearch import InvalidRequest, Overloaded, Retries, SemsearchError, ServerNotReady, ServerUnreachable, TimedOut
from semsearch.errors import ErrorDetails
from semsearch.transport.retries import Attempts, RetryState

NOT_READY = ServerNotReady("It starts.")
SHUTTING_DOWN = ServerNotReady("It ends.", ErrorDetails("SHUTTING_DOWN"))
MOST_JITTER = 1.25


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_waits_grow_to_a_bound_and_end_with_the_attempts() -> None:
    attempts = Attempts(Retries(attempts=5, first_delay=1, longest_delay=3), RetryState(), 1_000, clock=Clock())
    for expected in (1, 2, 3, 3):
        delay = attempts.delay_after(NOT_READY)
        assert delay is not None
        assert expected <= delay <= expected * MOST_JITTER
    assert attempts.delay_after(NOT_READY) is None


@pytest.mark.parametrize("kind", [ServerNotReady, Overloaded])
def test_the_server_sets_the_earliest_next_attempt(kind: type[SemsearchError]) -> None:
    error = kind("It is busy.", ErrorDetails(retry_after_seconds=8.0))
    delay = Attempts(Retries(first_delay=1), RetryState(), 1_000, clock=Clock()).delay_after(error)
    assert delay is not None
    assert 8 <= delay <= 8 * MOST_JITTER
    assert Attempts(Retries(), RetryState(), 7, clock=Clock()).delay_after(error) is None


def test_the_deadline_covers_all_attempts() -> None:
    clock = Clock()
    attempts = Attempts(Retries(first_delay=1), RetryState(), 10, clock=clock)
    assert attempts.delay_after(NOT_READY) is not None
    clock.now += 8.5
    assert attempts.remaining() == 1.5
    assert attempts.delay_after(NOT_READY) is None  # two seconds
    clock.now += 8.5
    assert attempts.remaining() == 0


def test_clients_stop_retrying_when_most_calls_fail() -> None:
    state = RetryState()

    def is_repeated() -> bool:
        return Attempts(Retries(), state, 1_000, clock=Clock()).delay_after(NOT_READY) is not None

    assert [is_repeated() for _ in range(100)] == [True] * 49 + [False] * 51
    for _ in range(520):
        state.record_success()
    assert is_repeated()


def test_all_calls_to_a_server_that_shuts_down_are_repeated() -> None:
    state = RetryState()
    for _ in range(20):
        attempts = Attempts(Retries(attempts=2), state, 1_000, clock=Clock())
        assert attempts.delay_after(SHUTTING_DOWN) is not None
        assert attempts.delay_after(SHUTTING_DOWN) is None


@pytest.mark.parametrize(("begun", "repeated"), [("false", True), ("true", False)])
def test_a_change_that_the_server_did_not_begin_is_repeated(begun: str, repeated: bool) -> None:
    error = ServerNotReady("It ends.", ErrorDetails("SHUTTING_DOWN", {"begun": begun}))
    attempts = Attempts(Retries(), RetryState(), 1_000, repeatable=False, clock=Clock())
    assert (attempts.delay_after(error) is not None) == repeated


def test_only_a_server_that_has_answered_is_waited_for() -> None:
    state, gone = RetryState(), ServerUnreachable("Nothing answers.")
    assert Attempts(Retries(), state, 1_000).delay_after(gone) is None
    assert Attempts(Retries(), state, 1_000).delay_after(TimedOut("No answer.")) is None
    assert Attempts(Retries(), state, 1_000).delay_after(gone) is None
    Attempts(Retries(), state, 1_000).delay_after(SemsearchError("No."))  # a refusal is an answer
    assert Attempts(Retries(), state, 1_000).delay_after(gone) is not None
    assert Attempts(Retries(), state, 1_000, repeatable=False).delay_after(gone) is None


def upload(policy: Retries, clock: Clock, state: RetryState | None = None, timeout: float = 1_000) -> Attempts:
    """Return the attempts to go on with an upload to a server that has answered."""
    state = state or RetryState()
    state.record_success()
    return Attempts(policy, state, timeout, is_upload=True, clock=clock)


def waits(attempts: Attempts, clock: Clock, error: SemsearchError) -> list[float]:
    """Return how long a call waits each time, until it is given up."""
    delays = []
    while (delay := attempts.delay_after(error)) is not None:
        clock.now += delay
        delays.append(delay)
    return delays


@pytest.mark.parametrize("error", [NOT_READY, SHUTTING_DOWN, ServerUnreachable("Nothing answers.")])
def test_an_upload_waits_as_often_as_its_patience_allows(error: SemsearchError) -> None:
    clock = Clock()
    delays = waits(upload(Retries(first_delay=1, longest_delay=4), clock), clock, error)
    for expected, delay in zip([1, 2, *itertools.repeat(4, len(delays) - 2)], delays, strict=True):
        assert expected <= delay <= expected * MOST_JITTER
    assert 60 - 4 * MOST_JITTER <= sum(delays) < 60


@pytest.mark.parametrize(("patience", "timeout", "longest"), [(40, 1_000, 40), (1_000, 50, 50), (0, 1_000, 0)])
def test_the_shorter_of_patience_and_deadline_ends_an_upload(patience: float, timeout: float, longest: float) -> None:
    clock = Clock()
    attempts = upload(Retries(longest_delay=1, patience=patience), clock, timeout=timeout)
    assert max(0, longest - MOST_JITTER) <= sum(waits(attempts, clock, NOT_READY)) <= longest


def test_a_client_without_a_number_of_attempts_is_as_patient_with_every_call() -> None:
    """Its patience begins with a call's first failure, not with the call."""
    clock, state = Clock(), RetryState()
    while state.may_retry():
        pass
    attempts = Attempts(Retries(attempts=None, patience=40), state, 1_000, clock=clock)
    clock.now += 100
    assert 30 < sum(waits(attempts, clock, NOT_READY)) < 40


def test_an_upload_goes_on_when_most_calls_fail() -> None:
    state, clock = RetryState(), Clock()
    while state.may_retry():
        pass
    assert upload(Retries(), clock, state).delay_after(NOT_READY) is not None


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("No."),
        TimedOut("Too late."),
        Overloaded("The disk is full."),
        Overloaded("Tomorrow.", ErrorDetails(retry_after_seconds=60)),
    ],
)
def test_a_refusal_ends_an_upload_at_once(error: SemsearchError) -> None:
    assert upload(Retries(), Clock()).delay_after(error) is None


def test_the_server_sets_when_an_upload_goes_on() -> None:
    delay = upload(Retries(), Clock()).delay_after(Overloaded("Busy.", ErrorDetails(retry_after_seconds=40)))
    assert delay is not None
    assert delay >= 40


def test_a_client_that_sends_each_call_once_does_not_go_on_with_uploads() -> None:
    assert upload(Retries(attempts=1), Clock()).delay_after(NOT_READY) is None


def test_whoever_waits_is_told_why_and_for_how_long() -> None:
    told: list[tuple[SemsearchError, float]] = []
    policy = Retries(on_wait=lambda error, seconds: told.append((error, seconds)))
    state, clock = RetryState(), Clock()
    attempts = upload(policy, clock, state)
    attempts.delay_after(NOT_READY)
    clock.now += 7
    attempts.delay_after(SHUTTING_DOWN)
    Attempts(policy, state, 60, clock=clock).delay_after(NOT_READY)  # another call waits for the same server
    state.record_success()
    clock.now += 7
    attempts.delay_after(NOT_READY)
    attempts.delay_after(InvalidRequest("No."))
    clock.now += 7
    attempts.delay_after(NOT_READY)
    assert told == [(NOT_READY, 0), (SHUTTING_DOWN, 7), (NOT_READY, 7), (NOT_READY, 0), (NOT_READY, 0)]
