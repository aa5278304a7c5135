"""Open-loop load: calls arrive at random times, at a given rate, whether or not earlier ones were answered.

A closed loop cannot overload a service, because its clients wait.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter

import grpc
import grpc.aio
import numpy as np

Call = Callable[[], Awaitable[object]]


@dataclass
class Outcomes:
    """Milliseconds of the calls that were answered, and of those that were refused; the other errors; the time."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def offered(self) -> int:
        """The number of calls."""
        return len(self.answered) + len(self.refused) + sum(self.errors.values())

    @property
    def goodput(self) -> float:
        """Calls answered in a second."""
        return len(self.answered) / self.seconds

    def quantile(self, share: float) -> float:
        """Milliseconds within which a share of the answered calls was answered."""
        return _quantile(self.answered, share)

    def refusal_quantile(self, share: float) -> float:
        """Milliseconds within which a share of the refused calls was refused."""
        return _quantile(self.refused, share)

    def add(self, other: Outcomes) -> None:
        """Add what another process measured at the same time."""
        self.answered += other.answered
        self.refused += other.refused
        for name, count in other.errors.items():
            self.errors[name] = self.errors.get(name, 0) + count
        self.seconds = max(self.seconds, other.seconds)

    async def record(self, call: Call) -> bool:
        """Make a call and record how it ended; return whether it was answered."""
        sent = perf_counter()
        try:
            await call()
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                self.refused.append(1_000 * (perf_counter() - sent))
            else:
                self.errors[error.code().name] = self.errors.get(error.code().name, 0) + 1
            return False
        self.answered.append(1_000 * (perf_counter() - sent))
        return True


def _quantile(milliseconds: list[float], share: float) -> float:
    return float(np.quantile(milliseconds, share)) if milliseconds else float("nan")


async def closed_loop(call: Call, clients: int, seconds: float) -> Outcomes:
    """Let clients call until the time is over; one that is refused waits a moment."""
    outcomes = Outcomes()
    began = perf_counter()

    async def client() -> None:
        while perf_counter() - began < seconds:
            if not await outcomes.record(call):
                await asyncio.sleep(0.05)

    await asyncio.gather(*(client() for _ in range(clients)))
    outcomes.seconds = perf_counter() - began
    return outcomes


async def open_loop(call: Call, a_second: float, seconds: float) -> Outcomes:
    """Make calls at random times, `a_second` on average, and wait for the last one."""
    outcomes = Outcomes(seconds=seconds)
    began = due = perf_counter()
    async with asyncio.TaskGroup() as group:
        while True:
            due += random.expovariate(a_second)
            if due - began > seconds:
                break
            if (wait := due - perf_counter()) > 0:
                await asyncio.sleep(wait)
            group.create_task(outcomes.record(call))
    return outcomes
