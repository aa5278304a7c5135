"""Searches and uploads at four times the load that a service can answer, apart and together.

    make bench-overload

A closed loop finds how long a call takes alone and how many calls a second the service can answer; an open loop then
offers four times as many. By default the service is `fixed_service`: its calls take a fixed time, so a busy machine
changes little, and what is measured is admission itself. `--suite` measures the real services with a model.

The services run on one half of the cores and their clients on the other (Linux): else an overload of short calls would
measure how fast the clients are. Only ratios within one run count.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.bar import Bar
from benchmarks.gateway_processes import wait_until_serving
from benchmarks.overload.arrivals import Outcomes
from benchmarks.overload.calls import SEARCHES, UPLOADS, closed, empty_calls, offered
from benchmarks.service_process import Running, running

CLIENTS = (2, 4, 8, 16)
OVERLOAD = 4
_SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Capacity:
    """What a service does without overload: the times of calls that are alone, and the most it answers in a second."""

    alone: Outcomes
    peak: float


def main(
    suite: Annotated[bool, typer.Option(help="Measure the real services.")] = False,
    model: Annotated[str, typer.Option(help="Model of the real services: `tiny`, a recipe, or a folder.")] = "tiny",
    workers: Annotated[int, typer.Option(min=1, help="Workers of the fixed service.")] = 2,
    search_seconds: Annotated[float, typer.Option(min=0.001, help="A search in the fixed service.")] = 0.05,
    upload_seconds: Annotated[float, typer.Option(min=0.001, help="An upload to the fixed service.")] = 0.2,
    seconds: Annotated[float, typer.Option(min=1, help="Length of each overload.")] = 60.0,
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/overload.json"),
) -> None:
    """Measure goodput, times, refusals and memory under overload."""
    load_before = os.getloadavg()[0]
    cores = sorted(os.sched_getaffinity(0))
    of_services, of_clients = (cores[: len(cores) // 2], cores[len(cores) // 2 :]) if len(cores) > 1 else (cores, cores)
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.sched_setaffinity(0, of_services)  # processes inherit it
        if suite:
            services = stack.enter_context(_suite(data, model))
        else:
            flags = (f"--workers={workers}", f"--search-seconds={search_seconds}", f"--upload-seconds={upload_seconds}")
            services = [stack.enter_context(running("benchmarks.overload.fixed_service", data, *flags))]
        gateway = services[-1]
        os.sched_setaffinity(0, of_clients)
        pool = stack.enter_context(ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")))
        capacities = {what: _capacity(pool, gateway.address, what) for what in (SEARCHES, UPLOADS)}
        rows = []
        for scenario in ((SEARCHES,), (UPLOADS,), (SEARCHES, UPLOADS)):
            rows += _overload(pool, services, scenario, capacities, seconds)
    conditions = {"suite": suite, "model": model if suite else "fixed", "load": load_before}
    _report(rows, capacities, {**conditions, "cores": len(of_services), "cores of clients": len(of_clients)}, out)


@contextmanager
def _suite(data: Path, model: str) -> Iterator[list[Running]]:
    """Start the real services, with the priorities of the Procfile."""
    with ExitStack() as stack:
        embedder = stack.enter_context(running("embedder_service", data, f"--default-model={model}", niceness=10))
        index = stack.enter_context(running("index_service", data, niceness=10))
        backends = (f"--embedder={embedder.address}", f"--index={index.address}")
        gateway = stack.enter_context(running("gateway", data, *backends))
        wait_until_serving(gateway)
        yield [embedder, index, gateway]


def _capacity(pool: ProcessPoolExecutor, address: str, what: str) -> Capacity:
    pool.submit(closed, address, what, 2, 5.0).result()  # warms up
    alone = pool.submit(closed, address, what, 1, 10.0).result()
    goodputs = [pool.submit(closed, address, what, clients, 6.0).result().goodput for clients in CLIENTS]
    return Capacity(alone, max(goodputs))


def _overload(
    pool: ProcessPoolExecutor,
    services: Sequence[Running],
    scenario: Sequence[str],
    capacities: dict[str, Capacity],
    seconds: float,
) -> list[dict[str, object]]:
    """Offer too much of each kind at the same time, and return a row for each."""
    before = _megabytes(services)
    offering = {
        what: pool.submit(offered, services[-1].address, what, OVERLOAD * capacities[what].peak, seconds)
        for what in scenario
    }
    empty = pool.submit(empty_calls, services[-1].address, seconds)
    taken = {what: each.result() for what, each in offering.items()}
    time.sleep(_SETTLE_SECONDS)
    after = _megabytes(services)
    return [
        {
            "load": f"{what} (with {other[0]})" if (other := [each for each in scenario if each != what]) else what,
            "offered": each.offered / seconds,
            "goodput": each.goodput,
            "of_peak": each.goodput / capacities[what].peak,
            "p50_ms": each.quantile(0.5),
            "p99_ms": each.quantile(0.99),
            "slower": each.quantile(0.99) / capacities[what].alone.quantile(0.99),
            "refused": len(each.refused) / seconds,
            "refusal_p99_ms": each.refusal_quantile(0.99),
            "empty_p99_ms": empty.result().quantile(0.99),
            "errors": each.errors,
            "memory_mb": (before, after),
        }
        for what, each in taken.items()
    ]


def _megabytes(services: Sequence[Running]) -> float:
    """Return the resident memory of all processes (Linux)."""
    pages = sum(int(Path(f"/proc/{each.process_id}/statm").read_text().split()[1]) for each in services)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _report(
    rows: Sequence[dict[str, object]], capacities: dict[str, Capacity], conditions: dict[str, object], out: Path
) -> None:
    console = Console(width=150)
    console.print(conditions)
    for what, each in capacities.items():
        console.print(
            f"{what}: alone p50 {each.alone.quantile(0.5):.1f} ms, p99 {each.alone.quantile(0.99):.1f} ms; "
            f"at most {each.peak:.1f} a second"
        )
    names = [name for name in rows[0] if name != "memory_mb"]
    table = Table(*names, "MB before", "after")
    for row in rows:
        before, after = row["memory_mb"]  # type: ignore[misc]
        cells = [row[name] for name in names]
        table.add_row(
            *(f"{value:,.2f}" if isinstance(value, float) else str(value) for value in cells),
            f"{before:.0f}",  # type: ignore[has-type]
            f"{after:.0f}",  # type: ignore[has-type]
        )
    console.print(table)
    bars = Table("promise", "figure", "bound", "")
    for bar in _bars(rows):
        bars.add_row(*bar.cells)
    console.print(bars)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**conditions, "rows": rows}, indent=2) + "\n")


def _bars(rows: Sequence[dict[str, object]]) -> Iterator[Bar]:
    apart, together = rows[:2], rows[2:]

    def figure(row: dict[str, object], name: str) -> float:
        value = row[name]
        assert isinstance(value, float)
        return value

    for row in apart:
        yield Bar(f"{row['load']}: goodput of the peak", figure(row, "of_peak"), 0.9, at_most=False, judged=True)
    share = sum(figure(row, "of_peak") for row in together)
    yield Bar("together: goodput, as shares of the peaks", share, 0.9, at_most=False, judged=True)
    for row in rows:
        yield Bar(f"{row['load']}: p99 by p99 alone", figure(row, "slower"), 3.0, at_most=True, judged=True)
        yield Bar(f"{row['load']}: ms of refusals", figure(row, "refusal_p99_ms"), 50.0, at_most=True, judged=True)
        before, after = row["memory_mb"]  # type: ignore[misc]
        yield Bar(f"{row['load']}: memory by before", after / before, 1.1, at_most=True, judged=True)  # type: ignore[has-type]


if __name__ == "__main__":
    typer.run(main)
