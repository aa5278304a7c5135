"""The parts of the simulation behave as queueing theory says, and lose nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import simpy

from benchmarks.scale.stations import BatchingService, Machine, Process, Service

SERVICE_MS = 10.0
CALLS = 12_000


def waits(servers: int, load: float, calls: int) -> tuple[list[float], float]:
    """Let calls arrive at random at a service of random times; return their times in it, and the mean number in it."""
    environment = simpy.Environment()
    random = np.random.default_rng(1)
    machine = Machine(environment, servers, slice_ms=math.inf)
    service = Service(machine, lambda: random.exponential(SERVICE_MS), servers)
    taken: list[float] = []

    def call() -> Process:
        began = environment.now
        yield from service.call()
        taken.append(environment.now - began)

    def arrivals() -> Process:
        for _ in range(calls):
            yield environment.timeout(random.exponential(SERVICE_MS / (servers * load)))
            environment.process(call())

    environment.process(arrivals())
    environment.run()
    assert machine.cores.count == 0
    return taken, sum(taken) / environment.now


def erlang_c(servers: int, load: float) -> float:
    """Return the chance that a call waits in M/M/c."""
    offered = servers * load
    busy = offered**servers / (math.factorial(servers) * (1 - load))
    return busy / (sum(offered**n / math.factorial(n) for n in range(servers)) + busy)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (4, 0.8)])
def test_times_are_those_of_mm1_and_mmc(servers: int, load: float) -> None:
    taken, present = waits(servers, load, CALLS)
    expected = SERVICE_MS + erlang_c(servers, load) * SERVICE_MS / (servers * (1 - load))
    if servers == 1:
        assert expected == pytest.approx(SERVICE_MS / (1 - load))
    assert np.mean(taken) == pytest.approx(expected, rel=0.08)
    arrival_rate = servers * load / SERVICE_MS
    assert present == pytest.approx(arrival_rate * expected, rel=0.08)  # Little's law
    assert len(taken) == CALLS


def test_processes_share_a_core_in_turns() -> None:
    environment = simpy.Environment()
    machine = Machine(environment, 1)
    ended: dict[str, float] = {}

    def work(name: str, milliseconds: float) -> Process:
        yield from machine.compute(milliseconds)
        ended[name] = environment.now

    environment.process(work("long", 100))
    environment.process(work("short", 4))
    environment.run()
    assert ended == {"short": 8, "long": 104}
    assert machine.utilisation() == 1


@pytest.mark.parametrize(("threads", "milliseconds"), [(1, 32.0), (2, 16.0)])
def test_what_waits_is_the_next_batch(threads: int, milliseconds: float) -> None:
    environment = simpy.Environment()
    embedder = BatchingService(Machine(environment, threads, math.inf), float, most=32, threads=threads)
    ended: list[float] = []

    def image() -> Process:
        yield from embedder.call()
        ended.append(environment.now)

    for _ in range(65):
        environment.process(image())
    environment.run()
    assert embedder.batches == [32, 32, 1]
    assert ended == [milliseconds] * 32 + [2 * milliseconds] * 32 + [2 * milliseconds + 1 / threads]


def test_batches_grow_with_the_load() -> None:
    def mean_batch(callers: int, demand: Callable[[int], float]) -> float:
        environment = simpy.Environment()
        embedder = BatchingService(Machine(environment, 1, math.inf), demand, most=32)

        def caller() -> Process:
            while True:
                yield from embedder.call()

        for _ in range(callers):
            environment.process(caller())
        environment.run(until=3_000)
        return float(np.mean(embedder.batches))

    assert mean_batch(1, lambda images: 5 + images) == 1
    assert mean_batch(16, lambda images: 5 + images) == pytest.approx(16, abs=0.5)
    assert mean_batch(100, lambda images: 5 + images) == pytest.approx(32, abs=0.5)
