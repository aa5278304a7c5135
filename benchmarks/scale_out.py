"""Searches and images a second with one to three embedders and one or two gateways, side by side.

    make bench-scale-out

Each arrangement has an index and gateways of its own; all have the same embedders. Their rounds alternate, so other
load on the machine affects each equally. Every search has words that no other had, so that no vector is remembered. The
processor time of each service says what limits: on one machine, all share its cores.
"""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table
from semsearch import Client

from benchmarks.gateway_processes import beside, free_port, search_for, wait_until_serving
from benchmarks.load import Latencies
from benchmarks.service_process import Running, processor_seconds, running

WORDS = ("dog", "boat", "fruit", "car", "cat", "flower", "vehicle", "bird")
WORKERS = 2
ARRANGEMENTS = ((1, 1), (2, 1), (3, 1), (1, 2), (3, 2))


@dataclass
class Arrangement:
    """Some gateways in front of some embedders, and what was measured."""

    embedders: int
    gateways: Sequence[Running]
    index: Running
    searches: Latencies = field(default_factory=lambda: Latencies((), 0.0))
    images: int = 0
    image_seconds: float = 0.0

    @property
    def address(self) -> str:
        """The address that the gateways share."""
        return self.gateways[0].address


def main(
    bundle: Annotated[str, typer.Option(help="Model: `tiny`, the name of a recipe, or a folder.")] = "tiny",
    clients: Annotated[int, typer.Option(min=WORKERS, help="Callers at the same time.")] = 16,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of one measurement of searches.")] = 3.0,
    images: Annotated[int, typer.Option(min=WORKERS, help="Images of one measurement.")] = 96,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each.")] = 3,
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/scale_out.json"),
) -> None:
    """Measure what more embedders and gateways add on this machine, and where it stops."""
    cost = {"searches": Counter[str](), "images": Counter[str]()}
    load_before = os.getloadavg()[0]
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        most = max(embedders for embedders, _ in ARRANGEMENTS)
        embedders = [
            stack.enter_context(running("embedder_service", data / f"embedder-{number}", f"--default-model={bundle}"))
            for number in range(most)
        ]
        arrangements = [
            _arrange(stack, data / f"{embedding}-{answering}", embedders[:embedding], answering)
            for embedding, answering in ARRANGEMENTS
        ]
        context = multiprocessing.get_context("spawn")
        pool = stack.enter_context(ProcessPoolExecutor(WORKERS, mp_context=context))
        for number in range(rounds + 1):
            for each in arrangements:
                services = {"embedder": embedders[: each.embedders], "index": [each.index], "gateway": each.gateways}
                _add(pool, each, images, services, cost["images"], number)
                _search(pool, each, clients, seconds, services, cost["searches"], number)
    rows = [_row(each) for each in arrangements]
    done = {
        "searches": sum(len(each.searches.milliseconds) for each in arrangements),
        "images": sum(each.images for each in arrangements),
    }
    milliseconds = {what: {service: 1_000 * used / done[what] for service, used in cost[what].items()} for what in cost}
    figures = {
        "model": bundle,
        "cores": os.cpu_count(),
        "load": [load_before, os.getloadavg()[0]],
        "rows": rows,
        "cpu_ms_per_search": milliseconds["searches"],
        "cpu_ms_per_image": milliseconds["images"],
    }
    table = Table("embedders", "gateways", "searches/s", "p50 ms", "p99 ms", "images/s")
    for row in rows:
        table.add_row(*(f"{value:,.1f}" if isinstance(value, float) else str(value) for value in row.values()))
    console = Console()
    console.print(table)
    console.print(json.dumps({name: value for name, value in figures.items() if name != "rows"}, indent=2))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


def _arrange(stack: ExitStack, data: Path, embedders: Sequence[Running], gateways: int) -> Arrangement:
    index = stack.enter_context(running("index_service", data))
    flags = [
        f"--port={free_port()}",
        f"--processes={gateways}",
        f"--index={index.address}",
        f"--embedder={','.join(each.address for each in embedders)}",
    ]
    started = [
        stack.enter_context(running("gateway", data, *flags, log_name=f"gateway-{number}"))
        for number in range(gateways)
    ]
    for each in started:
        wait_until_serving(each)
    return Arrangement(len(embedders), started, index)


def _add(
    pool: ProcessPoolExecutor,
    arrangement: Arrangement,
    images: int,
    services: dict[str, Sequence[Running]],
    cost: Counter[str],
    number: int,
) -> None:
    before = processor_seconds(services)
    calls = [
        pool.submit(_add_images, arrangement.address, images // WORKERS, WORKERS * number + worker)
        for worker in range(WORKERS)
    ]
    longest = max(call.result() for call in calls)
    if number:  # the first round warms up
        arrangement.images += WORKERS * (images // WORKERS)
        arrangement.image_seconds += longest
        cost.update(_difference(services, before))


def _search(
    pool: ProcessPoolExecutor,
    arrangement: Arrangement,
    clients: int,
    seconds: float,
    services: dict[str, Sequence[Running]],
    cost: Counter[str],
    number: int,
) -> None:
    before = processor_seconds(services)
    calls = [
        pool.submit(_search_for, arrangement.address, clients // WORKERS, seconds, WORKERS * number + worker)
        for worker in range(WORKERS)
    ]
    taken = beside([call.result() for call in calls])
    if number:
        arrangement.searches += taken
        cost.update(_difference(services, before))


def _row(arrangement: Arrangement) -> dict[str, float | int]:
    return {
        "embedders": arrangement.embedders,
        "gateways": len(arrangement.gateways),
        "searches_per_second": arrangement.searches.per_second,
        "p50_ms": arrangement.searches.quantile(0.5),
        "p99_ms": arrangement.searches.quantile(0.99),
        "images_per_second": arrangement.images / arrangement.image_seconds,
    }


def _difference(services: dict[str, Sequence[Running]], before: dict[str, float]) -> dict[str, float]:
    return {name: seconds - before[name] for name, seconds in processor_seconds(services).items()}


def _add_images(address: str, images: int, seed: int) -> float:
    """Add images that no other call adds; return how long it took."""
    contents = list(_pictures(images, seed))
    with Client(address) as client:
        began = time.monotonic()
        assert all(result.error is None for result in client.index_images(contents))
        return time.monotonic() - began


def _pictures(images: int, seed: int) -> Iterator[bytes]:
    """Yield photographs' like in size: JPEGs of 1,024 by 768 pixels."""
    random = np.random.default_rng(seed)
    for _ in range(images):
        coarse = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(coarse).resize((1024, 768), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        yield file.getvalue()


def _search_for(address: str, clients: int, seconds: float, seed: int) -> Latencies:
    queries = (f"{word} table^0.{seed:03}{number:06}" for number, word in enumerate(cycle(WORDS), 1))
    return asyncio.run(search_for(address, clients, seconds, queries))


if __name__ == "__main__":
    typer.run(main)
