"""Closed-loop load: each client sends its next call when the last one is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

import grpc
import grpc.aio
import numpy as np
from grpc_status import rpc_status

from serving.received_errors import retry_delay_seconds

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


def until_admitted(call: Call) -> Call:
    """Return a call that is repeated while the service is too busy for it, when it asks for that, as our clients do."""

    async def repeat() -> object:
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
                status = rpc_status.from_call(error)
                await asyncio.sleep((status and retry_delay_seconds(status)) or 0.0)

    return repeat
