"""One of several gateways is the owner; the next one follows when it ends, and the former one stops."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway import lease as lease_module
from gateway.backends.coordination import LeaseState
from gateway.backends.refusals import Refusal, Refused
from gateway.errors import OwnerChanged
from gateway.lease import OwnerLease, Term
from gateway.living_processes import living
from tests.unit.gateway.core import until
from tests.unit.gateway.lease_double import MemoryLeases

# So long that no test waits for it.
TTL_SECONDS = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lease_module, "now", clock)
    monkeypatch.setattr(lease_module, "POLL_SECONDS", 0.001)
    return clock


@pytest.fixture
def leases() -> MemoryLeases:
    return MemoryLeases()


def gateway(leases: MemoryLeases, folder: Path, address: str, exits: ExitStack, ttl: float = TTL_SECONDS) -> OwnerLease:
    return OwnerLease(leases, exits.enter_context(living(folder)), address, ttl)


@pytest.fixture
def exits() -> ExitStack:
    with ExitStack() as stack:
        yield stack


@pytest.mark.usefixtures("clock")
async def test_one_is_the_owner_and_the_next_follows_when_it_stops(
    leases: MemoryLeases, tmp_path: Path, exits: ExitStack
) -> None:
    first, second = (gateway(leases, tmp_path / each, f"{each}:1", exits) for each in "ab")
    async with second.kept():
        async with first.kept():
            await until(lambda: first.term.is_held or second.term.is_held)
            owner, other = (first, second) if first.term.is_held else (second, first)
            await until(lambda: bool(other.holder()))
            assert other.holder() == ("a:1" if owner is first else "b:1")
            assert owner.holder() == ""
            assert not other.term.is_held
            former = first.term
        await until(lambda: second.term.is_held)
        assert not former.is_held
    assert leases.state.is_free, "released at the end"


@pytest.mark.usefixtures("clock")
async def test_a_killed_process_of_the_same_machine_is_followed_at_once(
    leases: MemoryLeases, tmp_path: Path, exits: ExitStack
) -> None:
    with living(tmp_path) as killed:
        leases.set(LeaseState(7, killed.own, "a:1", is_free=False))
        next_one = gateway(leases, tmp_path, "b:1", exits)
        async with next_one.kept():
            await until(lambda: next_one.holder() == "a:1")
            await asyncio.sleep(0.01)
            assert not next_one.term.is_held, "the other one is alive"
    async with next_one.kept():
        await until(lambda: next_one.term.is_held)
        assert next_one.term.number == 8


async def test_the_owner_stops_in_time_if_it_cannot_renew(
    leases: MemoryLeases, tmp_path: Path, exits: ExitStack, clock: Clock
) -> None:
    owner = gateway(leases, tmp_path, "a:1", exits, ttl=0.03)
    async with owner.kept():
        await until(lambda: owner.term.is_held)
        term = owner.term
        await until(lambda: leases.renewals > 1)
        leases.go_away()
        clock.now = 0.0299
        assert not term.is_held, "before the index may grant it to somebody else"
        await until(lambda: term.ended.is_set())
        await until(lambda: not owner.is_known)
        leases.is_away = False
        await until(lambda: owner.term.is_held)
        assert owner.term.number > term.number


async def test_a_late_renewal_continues_the_term_if_nobody_asked_for_the_lease(
    leases: MemoryLeases, tmp_path: Path, exits: ExitStack, clock: Clock
) -> None:
    owner = gateway(leases, tmp_path, "a:1", exits, ttl=0.03)
    async with owner.kept():
        await until(lambda: owner.term.is_held)
        term = owner.term
        clock.now = 1_000.0  # suspended
        assert not term.is_held
        await until(lambda: term.is_held)
        assert owner.term is term


@pytest.mark.usefixtures("clock")
async def test_the_owner_learns_that_it_is_not_any_more(leases: MemoryLeases, tmp_path: Path, exits: ExitStack) -> None:
    owner = gateway(leases, tmp_path, "a:1", exits, ttl=0.03)
    async with owner.kept():
        await until(lambda: owner.term.is_held)
        term = owner.term
        leases.set(LeaseState(9, "other", "b:1", is_free=False))
        following = await owner.next_term(term)
        assert (following.number, following.is_held, owner.holder()) == (0, False, "b:1")
        assert term.ended.is_set()


@pytest.mark.usefixtures("clock")
async def test_calls_to_the_owner_go_on_while_the_index_is_away(
    leases: MemoryLeases, tmp_path: Path, exits: ExitStack
) -> None:
    other = gateway(leases, tmp_path, "a:1", exits)
    leases.set(LeaseState(7, "owner", "b:1", is_free=False))
    async with other.kept():
        await until(lambda: other.holder() == "b:1")
        leases.go_away()
        await until(lambda: not other.is_known)
        assert other.holder() == "b:1"


@pytest.mark.usefixtures("clock")
async def test_the_health_recovers_when_a_watch_that_was_refused_goes_on(
    leases: MemoryLeases, tmp_path: Path, exits: ExitStack
) -> None:
    other = gateway(leases, tmp_path, "a:1", exits)
    leases.set(LeaseState(7, "owner", "b:1", is_free=False))
    leases.refusals.append(Refused(Refusal("The database is locked.", 13, "INTERNAL")))
    leases.refusals.append(Refused(Refusal("The database is locked.", 13, "INTERNAL")))
    seen: list[bool] = []

    async def follow() -> None:
        async for is_well in other.health.watch():
            seen.append(is_well)  # noqa: PERF401 — each as it comes

    following = asyncio.create_task(follow())
    async with other.kept():
        await until(lambda: seen == [True, False, True])
        assert other.holder() == "b:1"
    following.cancel()


@pytest.mark.usefixtures("clock")
async def test_a_grant_is_noticed_by_whoever_looks_later(
    leases: MemoryLeases, tmp_path: Path, exits: ExitStack
) -> None:
    other = gateway(leases, tmp_path, "a:1", exits)
    async with other.kept():
        await until(lambda: other.term.is_held)
        leases.set(LeaseState(9, "other", "b:1", is_free=False))
        await until(lambda: other.holder() == "b:1")
        async with asyncio.timeout(5):
            assert await other.next_grant(1) == 9


async def test_a_refused_change_ends_the_term() -> None:
    term = Term(3, until=lease_module.now() + TTL_SECONDS)
    with term.change() as metadata:
        assert metadata == (("semsearch-lease", "gateway:3"),)

    def refused() -> None:
        with term.change():
            raise OwnerChanged

    with pytest.raises(OwnerChanged):
        refused()
    assert term.ended.is_set()
    with pytest.raises(OwnerChanged), term.change():
        raise AssertionError
    with pytest.raises(OwnerChanged), Term().change():
        raise AssertionError
