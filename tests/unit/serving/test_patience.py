from __future__ import annotations

import asyncio

from serving import deadlines
from serving.patience import Patience


async def test_calls_wait_for_a_service_that_has_just_gone() -> None:
    patience = Patience(3600.0)
    await patience.wait()  # it was never there
    patience.report(True)
    await patience.wait()
    patience.report(False)
    waiting = asyncio.create_task(patience.wait())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    patience.report(False)
    patience.report(True)
    await asyncio.wait_for(waiting, 5)


async def test_calls_do_not_wait_for_a_service_that_stays_away() -> None:
    patience = Patience(0.01)
    patience.report(True)
    patience.report(False)
    for _ in range(2):
        await asyncio.wait_for(patience.wait(), 5)


async def test_a_call_waits_no_longer_than_its_deadline() -> None:
    async def call() -> None:
        deadlines.begin(0.01)
        await patience.wait()

    patience = Patience(3600.0)
    patience.report(True)
    patience.report(False)
    await asyncio.wait_for(asyncio.create_task(call()), 5)
