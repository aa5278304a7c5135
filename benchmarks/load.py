"""Closed-loop load: each client sends its next call when the last one is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Latencies:
    """Milliseconds of every call of a measurement, and its total seconds."""

    milliseconds: tuple[float, ...]
    seconds: float

    def __add__(self, other: Latencies) -> Latencies:
        """Combine two measurements into one."""
        return Latencies(self.milliseconds + other.milliseconds, self.seconds + other.seconds)

    def quantile(self, share: float) -> float:
        """Milliseconds within which a share of the calls was answered."""
        return float(np.quantile(self.milliseconds, share))

    @property
    def per_second(self) -> float:
        """Calls per second over all clients."""
        return len(self.milliseconds) / self.seconds


async def measure(call: Call, clients: int, seconds: float) -> Latencies:
    """Let clients call until the time is over; a failed call ends the measurement with its error."""
    began = perf_counter()
    taken: list[float] = []

    async def client() -> None:
        while (sent := perf_counter()) - began < seconds:
            await call()
            taken.append(1000 * (perf_counter() - sent))

    await asyncio.gather(*(client() for _ in range(clients)))
    return Latencies(tuple(taken), perf_counter() - began)
