"""Measures whether the planner reaches its target recall for all distributions of vectors, and at what cost.

    make bench-recall                         # 1,000,000 vectors of each kind
    make bench-recall SIZES=20000
    python -m benchmarks.index.recall --help

For each kind of vectors, a segment is built as a merge builds it. Queries that are not rows then measure the recall, to
compare it with the plan's. Built indexes stay in the cache, so an interrupted run resumes where it stopped.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.index.built import cached
from benchmarks.index.distributions import Distribution, write_rows
from benchmarks.index.memory import disk_bytes
from benchmarks.index.service import source_digest
from benchmarks.index.truth import nearest_of_all
from benchmarks.index.vectors import K
from benchmarks.load import Latencies
from index_service.definition import EngineKind, IndexDefinition
from index_service.engines.choosing import engine_of
from index_service.engines.contract import Searcher
from index_service.vectors import distances

_ROWS = "rows.npy"
_QUERIES = "queries.npy"
_SCANS = 20
# Field of a row, heading, and format.
_COLUMNS = (
    ("distribution", "vectors", "{}"),
    ("engine", "engine", "{}"),
    ("rows", "rows", "{:,}"),
    ("effort", "effort", "{:,}"),
    ("components", "components", "{}"),
    ("reported_recall", "reported", "{:.3f}"),
    ("recall", "recall@10", "{:.3f}"),
    ("error", "± error", "{:.3f}"),
    ("p50_ms", "p50 ms", "{:.2f}"),
    ("p99_ms", "p99 ms", "{:.2f}"),
    ("scan_p50_ms", "scan p50 ms", "{:.2f}"),
    ("build_s", "build s", "{:,.0f}"),
    ("segment_to_raw", "disk to raw", "{:.2f}"),
    ("verdict", "target", "{}"),
)


@dataclass(frozen=True)
class Reached:
    """The result of a plan for one kind of vectors.

    `effort`, `reported_recall`: as `GetIndex` reports them; `effort` is None if all rows are compared. `recall`,
    `error`: measured with queries that are not rows, and its standard error. `scan_p50_ms`: of comparing all rows.
    `segment_to_raw`: disk usage of the vectors and the engine's files, relative to the raw vectors.
    """

    distribution: str
    engine: str
    rows: int
    target: float
    effort: int | None
    components: int
    reported_recall: float
    recall: float
    error: float
    p50_ms: float
    p99_ms: float
    scan_p50_ms: float
    build_s: float
    segment_to_raw: float

    @property
    def verdict(self) -> str:
        """Whether the recall reaches the target within its sampling error."""
        if self.recall >= self.target:
            return "reached"
        return "within error" if self.recall + 2 * self.error >= self.target else "missed"


def main(
    sizes: Annotated[str, typer.Option(help="Numbers of vectors.")] = "1000000",
    distributions: Annotated[str, typer.Option(help="Kinds of vectors.")] = ",".join(Distribution),
    engines: Annotated[str, typer.Option(help="Engines.")] = EngineKind.ANNOY.value,
    recall: Annotated[float, typer.Option(min=0, max=1, help="The recall@10 to aim at.")] = 0.95,
    queries: Annotated[int, typer.Option(min=10, help="Queries for measuring.")] = 1_000,
    words: Annotated[Path, typer.Option(help="Real word vectors.", exists=True)] = Path("starter/bundle/words.npy"),
    cache: Annotated[Path, typer.Option(help="Folder that keeps vectors and segments.")] = Path("var/bench-recall"),
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/recall.json"),
) -> None:
    """Measure whether the planner reaches its target on several kinds of vectors."""
    console = Console(width=160)
    reached: list[Reached] = []
    for size in sizes.split(","):
        for distribution in distributions.split(","):
            for engine in engines.split(","):
                with console.status(f"{int(size):,} {distribution}, {engine} engine"):
                    kind = Distribution(distribution)
                    reached.append(_reached(kind, EngineKind(engine), int(size), recall, queries, words, cache))
                _write(out, reached, recall, queries)
    console.print(_table(reached))
    console.print(f"All figures: {out}")


def found_shares(
    searcher: Searcher, rows: NDArray[np.float32], queries: NDArray[np.float32], target: float
) -> tuple[NDArray[np.float64], Latencies]:
    """Search for each query (m, dimension); return the share of its nearest rows that was found, and the latencies."""
    everything = np.ones(len(rows), dtype=np.bool_)
    shares, milliseconds = [], []
    for query, true in zip(queries, nearest_of_all(queries, rows, K)[0], strict=True):
        began = perf_counter()
        (found,) = searcher.nearest(query[None, :], K, everything, target).positions
        nearest = found[np.argsort(distances(query, rows[found]))][:K]
        milliseconds.append(1000 * (perf_counter() - began))
        shares.append(len(np.intersect1d(nearest, true)) / K)
    return np.array(shares), Latencies(tuple(milliseconds), sum(milliseconds) / 1000)


def _reached(
    distribution: Distribution, kind: EngineKind, count: int, target: float, queries: int, words: Path, cache: Path
) -> Reached:
    cache.mkdir(parents=True, exist_ok=True)

    def make_vectors(folder: Path) -> dict[str, float]:
        np.save(folder / _QUERIES, write_rows(folder / _ROWS, distribution, words, count, queries))
        return {}

    corpus = cached(cache, f"{distribution} {count}", f"{queries} {words.stat().st_size}", make_vectors).folder
    rows = np.load(corpus / _ROWS, mmap_mode="r").view(np.ndarray)
    engine = engine_of(IndexDefinition("benchmark", rows.shape[1], "benchmark", kind, target), threads=-1)

    def build(folder: Path) -> dict[str, float]:
        began = perf_counter()
        engine.build(corpus / _ROWS, folder, lambda _: None)
        return {"build_s": perf_counter() - began, "disk_bytes": disk_bytes(folder)}

    built = cached(corpus, f"{kind} engine", f"{target} {source_digest()}", build)
    searcher = engine.open(rows, built.folder)
    tuned = searcher.tuned()
    with threadpool_limits(1):
        measuring = np.load(corpus / _QUERIES)
        shares, times = found_shares(searcher, rows, measuring, target)
        _, scans = found_shares(searcher, rows, measuring[:_SCANS], 1.0)
    return Reached(
        distribution=distribution.value,
        engine=kind.value,
        rows=len(rows),
        target=target,
        effort=tuned.effort,
        components=tuned.components,
        reported_recall=tuned.recall,
        recall=float(shares.mean()),
        error=float(shares.std() / np.sqrt(len(shares))),
        p50_ms=times.quantile(0.5),
        p99_ms=times.quantile(0.99),
        scan_p50_ms=scans.quantile(0.5),
        build_s=built.figures["build_s"],
        segment_to_raw=1 + built.figures["disk_bytes"] / rows.nbytes,
    )


def _table(reached: list[Reached]) -> Table:
    table = Table(title="Recall that the planner reaches", title_justify="left")
    for number, (_, heading, _) in enumerate(_COLUMNS):
        table.add_column(heading, justify="right" if number > 1 else "left", no_wrap=True)
    for each in reached:
        fields = {name: getattr(each, name) for name, _, _ in _COLUMNS}
        table.add_row(*("" if fields[name] is None else format_.format(fields[name]) for name, _, format_ in _COLUMNS))
    return table


def _write(file: Path, reached: list[Reached], target: float, queries: int) -> None:
    run = {"target": target, "queries": queries, "cores": os.cpu_count(), "machine": platform.machine()}
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(each), "verdict": each.verdict} for each in reached]
    file.write_text(json.dumps({"run": run, "reached": rows}, indent=2) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the processes it started are stopped too
    typer.run(main)
