"""Throughput of up to 1,000 embedders, simulated from service times that were measured, and how far that is right.

make bench-scale                    simulate, with the samples in demands.json
make bench-scale COMPARE=1          also run 1, 2 and 3 real embedders on this machine, and print the error
make bench-scale RECORD=1           first take the samples anew
"""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.scale.demands import FILE, Demands
from benchmarks.scale.recording import measure_embedders, record
from benchmarks.scale.simulation import Deployment, simulate

EMBEDDERS = (1, 2, 3, 5, 10, 30, 100, 300, 1_000)
_CALLERS_AN_EMBEDDER = 16
_CALLERS_A_SUITE = 512
_EMBEDDERS_A_SUITE = 10
_INDEX_CORES = 2
console = Console()


def main(
    model: Annotated[str, typer.Option(help="Bundle or recipe to record and to compare with.")] = "photos",
    again: Annotated[bool, typer.Option("--record", help="Take the samples anew (two minutes).")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Measure 1, 2 and 3 real embedders (a minute).")] = False,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds to simulate.")] = 6.0,
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/scale.json"),
) -> None:
    """Simulate deployments of up to 1,000 embedders."""
    with tempfile.TemporaryDirectory() as folder:
        if again:
            record(Path(folder, "record"), model, calls=200).write()
        demands = Demands.read(FILE)
        _print_demands(demands)
        results: dict[str, object] = {"comparison": _compare(demands, Path(folder), model) if compare else []}
    results["images"] = _images(demands, seconds)
    results["searches"] = _searches(demands, seconds)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=2) + "\n")


def _print_demands(demands: Demands) -> None:
    console.print(f"Milliseconds of processor time, mean and 99 in 100; model {demands.model}")
    table = Table("what", "mean ms", "p99 ms", "samples")
    samples = {
        "search, gateway": demands.search_gateway,
        "search, index": demands.search_index,
        "image, gateway": demands.image_gateway,
        "image, index": demands.image_index,
        **{f"batch of {size}, embedder, an image": [each / size for each in demands.batches[size]]
           for size in sorted(demands.batches)},
    }  # fmt: skip
    for name, sample in samples.items():
        table.add_row(name, f"{np.mean(sample):.2f}", f"{np.quantile(sample, 0.99):.2f}", str(len(sample)))
    console.print(table)


def _compare(demands: Demands, folder: Path, model: str) -> list[dict[str, float]]:
    """Simulate what 1, 2 and 3 embedders do with the processor time that they got, and print the error.

    A busy machine gives them less than its cores, so the simulated throughput is scaled by the share that they got.
    """
    callers, cores = 48, 2
    rows = []
    table = Table("embedders", "cores they got", "measured images/s", "simulated", "error")
    for each in measure_embedders(folder / "compare", model, 3, 4.0, 4, callers):
        only_embedders = Demands(**{**vars(demands), "image_gateway": (0.0,), "image_index": (0.0,)})
        deployment = Deployment(each.embedders, cores_an_embedder=cores, shared_cores=cores)
        found = simulate(only_embedders, deployment, callers, 20.0, images=True)
        simulated = found.per_second * each.cores / (cores * found.utilisation["embedder"])
        error = simulated / each.per_second - 1
        rows.append({**asdict(each), "simulated_per_second": simulated, "error": error})
        table.add_row(
            str(each.embedders), f"{each.cores:.2f}", f"{each.per_second:.1f}", f"{simulated:.1f}", f"{error:+.0%}"
        )
    console.print(table)
    return rows


def _images(demands: Demands, seconds: float) -> list[dict[str, object]]:
    """Simulate one suite, whose owner adds all images, and several side by side, each with an index of its own."""
    rows: list[dict[str, object]] = []
    table = Table("embedders", "suites", "images/s", "p50 ms", "p99 ms", "gateways", "embedders", "index")
    for count in EMBEDDERS:
        for suites in sorted({1, math.ceil(count / _EMBEDDERS_A_SUITE)}):
            deployment = Deployment(count, suites, _INDEX_CORES * suites)
            callers = min(_CALLERS_AN_EMBEDDER * count, _CALLERS_A_SUITE * suites)
            found = simulate(demands, deployment, callers, seconds, images=True)
            rows.append({"embedders": count, "suites": suites, **asdict(found)})
            figures = [f"{value:,.0f}" for value in (found.per_second, found.p50_ms, found.p99_ms)]
            busy = [f"{found.utilisation[kind]:.0%}" for kind in ("gateway", "embedder", "index")]
            table.add_row(f"{count:,}", str(suites), *figures, *busy)
    console.print(table)
    return rows


def _searches(demands: Demands, seconds: float) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    table = Table("gateways", "index cores", "searches/s", "p50 ms", "p99 ms", "gateways busy", "index busy")
    for gateways, threads in ((1, 1), (2, 1), (2, 2), (4, 4), (16, 16)):
        deployment = Deployment(0, gateways, threads)
        found = simulate(demands, deployment, 16 * gateways, seconds, images=False)
        rows.append({"gateways": gateways, "index_cores": threads, **asdict(found)})
        busy = found.utilisation
        figures = (f"{found.per_second:,.0f}", f"{found.p50_ms:,.0f}", f"{found.p99_ms:,.0f}")
        table.add_row(str(gateways), str(threads), *figures, f"{busy['gateway']:.0%}", f"{busy['index']:.0%}")
    console.print(table)
    return rows


if __name__ == "__main__":
    typer.run(main)
