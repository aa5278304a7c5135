"""A lease has one holder, its numbers grow, and no change under a lower number takes effect after a grant."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from index_service.coordination.database import FILE, Database, open_database
from index_service.coordination.errors import LeaseLost
from index_service.coordination.leases import Leases
from index_service.errors import StorageFull

TTL = 10.0
NAME = "gateway"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class LeasesMachine(RuleBasedStateMachine):
    """Holders that acquire, change, renew, release and vanish, while time passes and the service restarts.

    The model is what holders know: the numbers that were granted to them, and the changes that were admitted.
    """

    grants = Bundle("grants")
    changes = Bundle("changes")

    @initialize()
    def start(self) -> None:
        self.stack = ExitStack()
        self.folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.clock = Clock()
        self.wall = Clock()
        self.open = ExitStack()
        self.last = 0  # the last number that was granted
        self.in_progress: list[int] = []
        # Until when nobody else may be granted the lease: None if its holder gave it up.
        self.safe_until: float | None = None
        self.is_released = True
        self.holder = ""
        self.restart()

    def teardown(self) -> None:
        self.open.close()
        self.stack.close()

    def restart(self) -> None:
        self.open.close()
        self.in_progress = []  # the process has ended, and so have its threads
        self.leases = Leases(self.open.enter_context(open_database(self.folder)), self.clock, self.wall)

    @rule(target=grants, holder=st.sampled_from("abc"), ended=st.sampled_from(["", "", "a", "b"]))
    def acquire(self, holder: str, ended: str) -> object:
        grant = self.leases.acquire(NAME, holder, f"{holder}:1", TTL, ended)
        if not grant.granted:
            # Only for a reason: somebody else has it, or changes are in progress.
            others = self.safe_until is not None and self.clock.now < self.safe_until
            others = others and self.holder not in (holder, ended)
            assert others or self.in_progress
            if not others:
                self.safe_until = None  # by asking, its holder gave it up; or it had expired
            return multiple()
        assert grant.lease.number > self.last
        assert not self.in_progress
        assert self.safe_until is None or self.clock.now >= self.safe_until or self.holder in (holder, ended)
        self.last, self.holder, self.safe_until = grant.lease.number, holder, self.clock.now + TTL
        self.is_released = False
        return grant.lease.number

    @rule(number=grants)
    def renew(self, number: int) -> None:
        try:
            self.leases.renew(NAME, number)
        except LeaseLost:
            assert number != self.last or self.safe_until is None
        else:
            assert number == self.last
            self.safe_until = self.clock.now + TTL

    @rule(number=grants)
    def release(self, number: int) -> None:
        self.leases.release(NAME, number)
        if number == self.last:
            self.safe_until = None
            self.is_released = True

    @rule(target=changes, number=grants)
    def begin_change(self, number: int) -> object:
        try:
            self.leases.begin_change(NAME, number)
        except LeaseLost:
            return multiple()
        assert number == self.last
        self.in_progress.append(number)
        return number

    @rule(number=consumes(changes))
    def end_change(self, number: int) -> None:
        if number in self.in_progress:  # not if the service restarted meanwhile
            self.in_progress.remove(number)
            self.leases.end_change(NAME)

    @rule(seconds=st.sampled_from([1, 3, 9, 10, 25]))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule(seconds=st.integers(-100, 100))
    def set_wall_clock(self, seconds: int) -> None:
        self.wall.now = max(0.0, self.wall.now + seconds)

    @rule()
    def restart_the_service(self) -> None:
        self.restart()
        assert self.leases.get(NAME).remaining_seconds == (None if self.is_released else TTL)
        if not self.is_released:
            self.safe_until = self.clock.now + TTL

    @invariant()
    def shows_who_has_it(self) -> None:
        lease = self.leases.get(NAME)
        assert lease.number == self.last
        is_held = self.safe_until is not None and self.clock.now < self.safe_until
        assert lease.remaining_seconds == (self.safe_until - self.clock.now if is_held else None)  # type: ignore[operator]
        assert lease.holder == ("" if self.is_released else self.holder)


TestLeases = LeasesMachine.TestCase
TestLeases.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path) as database:
        yield database


@pytest.fixture
def leases(database: Database, clock: Clock) -> Leases:
    return Leases(database, clock)


def granted(leases: Leases, holder: str) -> int | None:
    grant = leases.acquire(NAME, holder, f"{holder}:1", TTL)
    return grant.lease.number if grant.granted else None


def test_a_change_that_was_admitted_delays_the_next_grant_until_it_ends(leases: Leases, clock: Clock) -> None:
    first = granted(leases, "a")
    assert first is not None
    leases.begin_change(NAME, first)
    clock.now += TTL
    assert granted(leases, "b") is None
    for further in (lambda: leases.begin_change(NAME, first), lambda: leases.renew(NAME, first)):
        with pytest.raises(LeaseLost):  # or the grant could be delayed for ever
            further()
    leases.end_change(NAME)
    assert granted(leases, "b") is not None


@pytest.mark.parametrize(("holder", "ended"), [("a", ""), ("b", "a")])
def test_a_holder_that_has_ended_or_asks_again_is_not_waited_for(leases: Leases, holder: str, ended: str) -> None:
    first = granted(leases, "a")
    second = leases.acquire(NAME, holder, "", TTL, ended).lease.number
    assert first is not None
    assert second is not None
    assert second > first
    with pytest.raises(LeaseLost):
        leases.begin_change(NAME, first)


def test_an_expired_lease_can_be_renewed_until_somebody_asks_for_it(leases: Leases, clock: Clock) -> None:
    number = granted(leases, "a")
    assert number is not None
    heard: list[bool] = []
    clock.now += 2 * TTL
    assert leases.get(NAME).remaining_seconds is None
    with leases.watched(lambda: heard.append(True)):
        leases.renew(NAME, number)
    assert heard, "a watcher that saw it free must see it held again"
    assert leases.get(NAME).remaining_seconds == TTL


def test_numbers_grow_even_if_the_database_is_lost(tmp_path: Path) -> None:
    numbers = []
    for folder, seconds in ((tmp_path / "first", 1_000.0), (tmp_path / "second", 2_000.0)):
        folder.mkdir()
        with open_database(folder) as database:
            numbers += [granted(Leases(database, wall_clock=lambda: seconds), "a") for _ in range(2)]  # noqa: B023
    assert numbers == [1_000, 1_001, 2_000, 2_001]


def test_a_grant_that_cannot_be_written_is_not_made(
    leases: Leases, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise StorageFull(Path(FILE), "full")

    with monkeypatch.context() as patch:
        patch.setattr(database, "put_lease", full)
        with pytest.raises(StorageFull):
            granted(leases, "a")
    assert leases.get(NAME).number == 0
    assert granted(leases, "b") is not None


def test_other_leases_are_others(leases: Leases) -> None:
    assert granted(leases, "a") is not None
    assert leases.acquire("other", "b", "b:1", TTL).granted


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5_000])


def _overwrite(path: Path) -> None:
    path.write_bytes(b"no database" * 1_000)


@pytest.mark.parametrize("damage", [_truncate, _overwrite])
def test_a_damaged_database_is_set_aside(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    with open_database(tmp_path) as database:
        first = granted(Leases(database), "a")
    damage(tmp_path / FILE)
    with open_database(tmp_path) as database:
        second = granted(Leases(database), "b")
    assert first is not None
    assert second is not None
    assert second >= first
    assert (tmp_path / f"{FILE}.damaged").exists()


def test_a_grant_is_on_disk_when_it_is_made(leases: Leases, tmp_path: Path) -> None:
    number = granted(leases, "a")
    with sqlite3.connect(f"file:{tmp_path / FILE}?mode=ro", uri=True) as other:
        assert other.execute("SELECT number, holder FROM leases").fetchall() == [(number, "a")]
