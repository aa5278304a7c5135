"""The parts of a queueing model: cores that processes share, services that take one call after another, and batches.

Invariant: what enters leaves once, in the order of arrival at each service. Time is in milliseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import simpy

Process = Generator[simpy.Event, Any, None]
# As an operating system gives a process a core for some time, and then the next one.
SLICE_MS = 4.0


class Machine:
    """Cores that several services share."""

    def __init__(self, environment: simpy.Environment, cores: int, slice_ms: float = SLICE_MS) -> None:
        self.environment = environment
        self.cores = simpy.Resource(environment, cores)
        self.busy_ms = 0.0
        self._slice = slice_ms

    def compute(self, milliseconds: float) -> Process:
        """Use one core for that long, in slices between those of others."""
        while milliseconds > 0:
            with self.cores.request() as core:
                yield core
                turn = min(self._slice, milliseconds)
                yield self.environment.timeout(turn)
            self.busy_ms += turn
            milliseconds -= turn

    def utilisation(self) -> float:
        """Return the share of the cores' time that was used, 0…1."""
        return self.busy_ms / (self.cores.capacity * self.environment.now)


class Service:
    """A process on a machine that handles at most `threads` calls at a time; the others wait in order."""

    def __init__(self, machine: Machine, demand: Callable[[], float], threads: int = 1) -> None:
        self._machine = machine
        self._demand = demand
        self._threads = simpy.Resource(machine.environment, threads)
        self.served = 0

    def call(self) -> Process:
        """Wait for a thread, and compute."""
        with self._threads.request() as thread:
            yield thread
            yield from self._machine.compute(self._demand())
        self.served += 1


class BatchingService:
    """An embedder: what waits when the model is free is the next batch, up to a limit (decision 0004)."""

    def __init__(self, machine: Machine, demand: Callable[[int], float], most: int, threads: int = 1) -> None:
        self._machine = machine
        self._demand = demand
        self._most = most
        self._parts = threads
        self._waiting: deque[simpy.Event] = deque()
        self._arrived = machine.environment.event()
        self.batches: list[int] = []
        machine.environment.process(self._run())

    @property
    def queue_length(self) -> int:
        """Return how many images wait."""
        return len(self._waiting)

    def call(self) -> Process:
        """Wait until the batch of this image is computed."""
        done = self._machine.environment.event()
        self._waiting.append(done)
        if not self._arrived.triggered:
            self._arrived.succeed()
        yield done

    def _run(self) -> Process:
        environment = self._machine.environment
        while True:
            if not self._waiting:
                self._arrived = environment.event()
                yield self._arrived
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            part = self._demand(len(batch)) / self._parts
            threads = [environment.process(self._machine.compute(part)) for _ in range(self._parts)]
            yield environment.all_of(threads)
            self.batches.append(len(batch))
            for done in batch:
                done.succeed()
