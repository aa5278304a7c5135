"""When an overload begins and ends."""

from __future__ import annotations

from serving.overload import Overload


def offer(overload: Overload, refused: list[bool], since: float, gap: float = 0.1) -> float:
    """Let calls arrive, some of which are refused, and return the time of the last one."""
    now = since
    for number, is_refused in enumerate(refused):
        now = since + gap * number
        overload.count(now)
        if is_refused:
            overload.count_refused(now)
    return now


def test_it_begins_with_a_refusal() -> None:
    overload = Overload()
    overload.count(0.0)
    assert not overload.lasts(0.0)
    overload.count_refused(0.0)
    assert overload.lasts(0.0)


def test_it_lasts_while_half_of_the_calls_are_refused() -> None:
    overload = Overload()
    assert overload.lasts(offer(overload, [True, False] * 100, 0.0))


def test_it_ends_when_few_calls_are_refused() -> None:
    overload = Overload()
    now = offer(overload, [True] * 20, 0.0)
    assert overload.lasts(now)
    now = offer(overload, [True, False, False] * 3 + [False] * 12, now + 0.1)
    assert not overload.lasts(now)


def test_it_ends_when_no_calls_come() -> None:
    overload = Overload()
    now = offer(overload, [True] * 20, 0.0)
    assert overload.lasts(now + 4.9)
    assert not overload.lasts(now + 5.0)


def test_a_few_calls_that_are_all_refused_say_nothing_about_a_later_second() -> None:
    overload = Overload()
    now = offer(overload, [True] * 4, 0.0)
    now = offer(overload, [False] * 40, now + 2.0)
    assert not overload.lasts(now)
