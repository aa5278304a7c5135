from __future__ import annotations

from pathlib import Path

import pytest

from serving.quotas.day_counts import DAY_SECONDS, DayCounts, exchange
from serving.quotas.quota import Kind

NOON = 20_000.5 * DAY_SECONDS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "quotas" / "gateway.sqlite"


def synchronize(counts: DayCounts, file: Path, now: float = NOON) -> None:
    day, added = counts.take_added(now)
    counts.replace(day, exchange(file, day, added))


def test_counts_survive_a_restart_and_other_processes_see_them(file: Path) -> None:
    one, other = DayCounts(), DayCounts()
    one.add("ann", Kind.READ, 3, NOON)
    other.add("ann", Kind.READ, 4, NOON)
    other.add("ann", Kind.EMBED, 5, NOON)
    for each in (one, other, one):
        synchronize(each, file)
    restarted = DayCounts()
    synchronize(restarted, file)
    for each in (one, other, restarted):
        assert (each.used("ann", Kind.READ, NOON), each.used("ann", Kind.EMBED, NOON)) == (7, 5)


def test_a_day_ends_at_midnight(file: Path) -> None:
    counts = DayCounts()
    counts.add("ann", Kind.READ, 3, NOON)
    synchronize(counts, file)
    before, after = NOON + DAY_SECONDS / 2 - 0.001, NOON + DAY_SECONDS / 2
    assert counts.used("ann", Kind.READ, before) == 3
    assert counts.used("ann", Kind.READ, after) == 0
    synchronize(counts, file, after)
    late = DayCounts()
    synchronize(late, file)
    assert late.used("ann", Kind.READ, NOON) == 0, "the day that has ended is forgotten"


def test_what_is_taken_back_is_taken_back_for_all_processes(file: Path) -> None:
    one, other = DayCounts(), DayCounts()
    one.add("ann", Kind.READ, 3, NOON)
    for each in (one, other):
        synchronize(each, file)
    day = int(NOON // DAY_SECONDS)
    one.take_back("ann", Kind.READ, 2, day)
    one.take_back("ann", Kind.READ, 1, day - 1)
    one.take_back("bob", Kind.READ, 1, day)
    for each in (one, other):
        synchronize(each, file)
    assert one.used("ann", Kind.READ, NOON) == other.used("ann", Kind.READ, NOON) == 1
    assert one.used("bob", Kind.READ, NOON) == 0


def test_what_is_counted_during_an_exchange_is_kept(file: Path) -> None:
    counts = DayCounts()
    counts.add("ann", Kind.READ, 1, NOON)
    day, added = counts.take_added(NOON)
    counts.add("ann", Kind.READ, 10, NOON)
    counts.replace(day, exchange(file, day, added))
    assert counts.used("ann", Kind.READ, NOON) == 11
    day, added = counts.take_added(NOON)
    counts.put_back(day, added)
    assert counts.used("ann", Kind.READ, NOON) == 11
    synchronize(counts, file)
    again = DayCounts()
    synchronize(again, file)
    assert again.used("ann", Kind.READ, NOON) == 11


def test_the_callers_of_a_day_are_bounded() -> None:
    counts = DayCounts(most_counts=100)
    counts.add("greedy", Kind.READ, 50, NOON)
    for number in range(10_000):
        counts.add(str(number), Kind.READ, 1, NOON)
        assert len(counts) <= 100
    assert counts.used("greedy", Kind.READ, NOON) == 50
