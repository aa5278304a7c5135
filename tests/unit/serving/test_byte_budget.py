from __future__ import annotations

import asyncio

import pytest

from serving.byte_budget import ByteBudget, TooManyBytes
from serving.errors import to_status
from serving.received_errors import from_status, retry_delay_seconds

DEADLINE = 5.0


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Queue:
    """Callers, named by their sizes, and the order of their admission."""

    def __init__(self, budget: ByteBudget, *sizes: int) -> None:
        self._budget = budget
        self.entered: list[int] = []
        self.tasks = {size: asyncio.create_task(self._enter(size)) for size in sizes}

    async def _enter(self, size: int) -> None:
        await self._budget.take(size)
        self.entered.append(size)


async def test_a_caller_waits_until_its_bytes_fit() -> None:
    budget = ByteBudget(10)
    await budget.take(6)
    queue = Queue(budget, 5)
    await turns()
    assert queue.entered == []
    budget.give_back(6)
    await turns()
    assert queue.entered == [5]
    assert budget.taken == 5


async def test_callers_are_admitted_in_order_whatever_their_size() -> None:
    budget = ByteBudget(10)
    await budget.take(6)
    queue = Queue(budget, 9, 1, 2)
    await turns()
    assert queue.entered == []
    budget.give_back(6)
    await turns()
    assert queue.entered == [9, 1]
    budget.give_back(9)
    await turns()
    assert queue.entered == [9, 1, 2]


async def test_a_call_larger_than_the_budget_is_admitted_alone() -> None:
    budget = ByteBudget(10)
    await budget.take(1)
    queue = Queue(budget, 25, 2)
    await turns()
    assert queue.entered == []
    budget.give_back(1)
    await turns()
    assert queue.entered == [25]
    budget.give_back(25)
    await turns()
    assert queue.entered == [25, 2]


async def test_a_caller_leaving_the_queue_admits_the_next() -> None:
    budget = ByteBudget(10)
    await budget.take(6)
    queue = Queue(budget, 9, 2)
    await turns()
    queue.tasks[9].cancel()
    await turns()
    assert queue.entered == [2]
    assert budget.taken == 8


async def test_a_caller_cancelled_on_admission_keeps_no_bytes() -> None:
    budget = ByteBudget(10)
    await budget.take(6)
    queue = Queue(budget, 9)
    await turns()
    budget.give_back(6)
    queue.tasks[9].cancel()
    with pytest.raises(asyncio.CancelledError):
        await queue.tasks[9]
    assert budget.taken == 0


async def test_a_caller_that_cannot_wait_is_refused_with_a_retry_delay() -> None:
    budget = ByteBudget(10)
    with budget.taken_at_once(8):
        with pytest.raises(TooManyBytes) as raised, budget.taken_at_once(3):
            pass
        assert budget.taken == 8
    assert budget.taken == 0
    status = to_status(raised.value, {})
    assert from_status(status)[0] == "OVERLOADED"
    assert retry_delay_seconds(status)


async def test_a_caller_that_cannot_wait_does_not_overtake_others() -> None:
    budget = ByteBudget(10)
    await budget.take(6)
    Queue(budget, 9)
    await turns()
    with pytest.raises(TooManyBytes), budget.taken_at_once(1):
        pass


async def test_an_ended_stream_gives_back_exactly_its_bytes() -> None:
    budget = ByteBudget(10)
    await budget.take(1)
    with budget.share() as share:
        await share.take(3)
        await share.take(4)
        share.give_back(3)
        assert (share.taken, budget.taken) == (4, 5)
    share.give_back(4)
    assert budget.taken == 1


async def test_callers_of_every_size_are_admitted() -> None:
    budget = ByteBudget(100)
    done = []

    async def call(size: int) -> None:
        await budget.take(size)
        assert budget.taken <= max(100, size)
        await asyncio.sleep(0)
        budget.give_back(size)
        done.append(size)

    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(call(size) for size in range(0, 200, 3)))
    assert sorted(done) == list(range(0, 200, 3))
    assert budget.taken == 0


async def test_a_larger_limit_admits_those_who_wait() -> None:
    budget = ByteBudget(10)
    await budget.take(6)
    queue = Queue(budget, 5)
    await turns()
    budget.resize(11)
    await turns()
    assert (queue.entered, budget.taken) == ([5], 11)
