"""Simulates a deployment under load: how many images or searches a second it handles, and how long each takes.

An image goes through a gateway, an embedder (the one with the shortest queue of two that are tried in turn) and the
index; a search through a gateway and the index. Callers send the next call when the last one is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import simpy

from benchmarks.scale.demands import Demands, draw
from benchmarks.scale.stations import BatchingService, Machine, Process, Service

MOST_IMAGES_A_BATCH = 32
_MILLISECONDS = 1_000.0


@dataclass(frozen=True)
class Deployment:
    """Numbers of processes and cores.

    Without `shared_cores` every process has its own: an embedder `cores_an_embedder`, a gateway one, the index
    `index_threads`. With it, all of them share those of one machine.
    """

    embedders: int = 1
    gateways: int = 1
    index_threads: int = 2
    cores_an_embedder: int = 1
    shared_cores: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a simulation measured; utilisations are shares of the cores of each kind, 0…1."""

    started: int
    finished: int
    per_second: float
    p50_ms: float
    p99_ms: float
    utilisation: dict[str, float]


def simulate(
    demands: Demands, deployment: Deployment, callers: int, seconds: float, *, images: bool, seed: int = 0
) -> Outcome:
    """Simulate callers that add images (or search) for some seconds; the first third is not counted."""
    environment = simpy.Environment()
    random = np.random.default_rng(seed)
    shared = Machine(environment, deployment.shared_cores) if deployment.shared_cores else None
    machines: dict[str, list[Machine]] = {"gateway": [], "embedder": [], "index": []}

    def machine(kind: str, cores: int) -> Machine:
        chosen = shared or Machine(environment, cores, slice_ms=float("inf"))
        machines[kind].append(chosen)
        return chosen

    def drawn(sample: Sequence[float]) -> Callable[[], float]:
        return lambda: draw(tuple(sample), random)

    of_gateway = demands.image_gateway if images else demands.search_gateway
    of_index = demands.image_index if images else demands.search_index
    gateways = cycle([Service(machine("gateway", 1), drawn(of_gateway)) for _ in range(deployment.gateways)])
    index = Service(machine("index", deployment.index_threads), drawn(of_index), deployment.index_threads)
    embedders = [
        BatchingService(
            machine("embedder", deployment.cores_an_embedder),
            lambda size: demands.draw_batch(size, random),
            MOST_IMAGES_A_BATCH,
            deployment.cores_an_embedder,
        )
        for _ in range(deployment.embedders if images else 0)
    ]
    turns = cycle(range(max(1, len(embedders))))
    started = finished = 0
    taken: list[float] = []  # of the calls that are counted
    warm = seconds * _MILLISECONDS / 3

    def embedder() -> BatchingService:
        first, second = embedders[next(turns)], embedders[random.integers(len(embedders))]
        return min(first, second, key=lambda each: each.queue_length)

    def caller() -> Process:
        nonlocal started, finished
        while True:
            began = environment.now
            started += 1
            yield from next(gateways).call()
            if images:
                yield from embedder().call()
            yield from index.call()
            finished += 1
            if environment.now >= warm:
                taken.append(environment.now - began)

    for _ in range(callers):
        environment.process(caller())
    environment.run(until=seconds * _MILLISECONDS)
    counted = (seconds * _MILLISECONDS - warm) / _MILLISECONDS
    p50, p99 = np.quantile(taken, (0.5, 0.99)) if taken else (np.nan, np.nan)
    return Outcome(
        started,
        finished,
        len(taken) / counted,
        float(p50),
        float(p99),
        {kind: float(np.mean([each.utilisation() for each in some])) for kind, some in machines.items() if some},
    )
