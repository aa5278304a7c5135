"""The lease of the processes on one data folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.lease import FileLease


async def test_one_process_holds_the_lease_and_the_next_follows(tmp_path: Path) -> None:
    file = tmp_path / "gateway" / "owner"
    with FileLease(file, "127.0.0.1:50054") as second:
        with FileLease(file, "127.0.0.1:1") as first:
            assert first.try_acquire()
            assert first.is_held
            assert not second.try_acquire()
            assert second.holder() == "127.0.0.1:1"
            waiting = asyncio.create_task(second.acquire())
            await asyncio.sleep(0)
            assert not second.is_held
        async with asyncio.timeout(5):
            await waiting
        assert second.is_held
        with FileLease(file, "127.0.0.1:1") as third:
            assert third.holder() == "127.0.0.1:50054"


def test_the_address_of_an_earlier_life_is_nobodys(tmp_path: Path) -> None:
    with FileLease(tmp_path / "owner", "127.0.0.1:50054") as before:
        assert before.holder() == ""
        before.try_acquire()
    with FileLease(tmp_path / "owner", "127.0.0.1:50054") as after:
        assert after.holder() == ""


def test_a_longer_address_leaves_nothing_behind(tmp_path: Path) -> None:
    for address in ("gateway.example.org:50054", "127.0.0.1:1"):
        with FileLease(tmp_path / "owner", address) as lease:
            lease.try_acquire()
    assert (tmp_path / "owner").read_text() == "127.0.0.1:1\n"
