"""A simulated deployment loses no call, is limited by what is busiest, and repeats itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scale.demands import FILE, Demands
from benchmarks.scale.simulation import Deployment, simulate

# An embedder computes 100 images a second and core, a gateway 250 images, the index 1,000.
DEMANDS = Demands("made up", "", (4.0,), (1.0,), (4.0,), (1.0,), {1: (10.0,), 32: (320.0,)})


@pytest.mark.parametrize(
    ("deployment", "expected", "busy"),
    [
        (Deployment(embedders=1), 100, "embedder"),
        (Deployment(embedders=2), 200, "embedder"),
        (Deployment(embedders=8), 250, "gateway"),
        (Deployment(embedders=8, gateways=2), 500, "gateway"),
        (Deployment(embedders=30, gateways=8, index_threads=1), 1_000, "index"),
        (Deployment(embedders=3, shared_cores=2), 2_000 / 15, "index"),
    ],
)
def test_throughput_is_that_of_the_busiest_part(deployment: Deployment, expected: float, busy: str) -> None:
    outcome = simulate(DEMANDS, deployment, callers=200, seconds=8, images=True)
    assert outcome.per_second == pytest.approx(expected, rel=0.05)
    assert outcome.utilisation[busy] == pytest.approx(1, abs=0.03)
    assert outcome.started == outcome.finished + 200  # every caller waits for one call at the end


def test_an_idle_deployment_answers_in_the_time_of_its_parts() -> None:
    outcome = simulate(DEMANDS, Deployment(), callers=1, seconds=10, images=True)
    assert outcome.p50_ms == outcome.p99_ms == pytest.approx(15)
    assert simulate(DEMANDS, Deployment(), callers=1, seconds=10, images=False).p50_ms == pytest.approx(5)


def test_a_seed_gives_the_same_result() -> None:
    demands = Demands.read(FILE)
    first, again, other = (simulate(demands, Deployment(2), 50, 5, images=True, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_samples_survive_the_file(tmp_path: Path) -> None:
    DEMANDS.write(tmp_path / "demands.json")
    assert Demands.read(tmp_path / "demands.json") == DEMANDS
