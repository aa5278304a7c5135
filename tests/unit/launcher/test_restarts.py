"""Which ends of a service are followed by another start, and after how long."""

from __future__ import annotations

import pytest

from launcher.restarts import Backoff, cannot_start, describe_end


def test_the_delay_doubles_up_to_a_bound_and_begins_again_after_a_reset() -> None:
    backoff = Backoff(first=1, most=30)
    assert [backoff.next_seconds() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next_seconds() == 1


@pytest.mark.parametrize(
    ("returncode", "has_served", "expected"),
    [(1, False, True), (127, False, True), (1, True, False), (-9, False, False), (-9, True, False), (0, False, False)],
)
def test_only_an_error_before_it_served_is_final(returncode: int, has_served: bool, expected: bool) -> None:
    assert cannot_start(returncode, has_served) is expected


@pytest.mark.parametrize(
    ("returncode", "text"),
    [(3, "ended with status 3"), (-9, "was killed by signal 9 (SIGKILL)"), (-40, "was killed by signal 40")],
)
def test_an_end_is_described_with_its_status_or_signal(returncode: int, text: str) -> None:
    assert describe_end(returncode) == text
