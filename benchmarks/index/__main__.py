"""Compare vector search by this project's index, Annoy, hnswlib, usearch, faiss and NumPy in one run.

    make bench-index                          # 20,000, 200,000 and 1,000,000 vectors
    make bench-index SIZES=20000              # 20,000 vectors only
    python -m benchmarks.index --help

Each contender is tuned to the recall on one set of queries and measured on another. Built indexes stay in the cache, so
an interrupted run resumes where it stopped. Compare the rows of one run, never two runs.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from benchmarks.index.bars import bars
from benchmarks.index.contenders.registry import PACKAGES, load
from benchmarks.index.one_size import OWN_PARTS, Plan, measure
from benchmarks.index.results import Size
from benchmarks.index.table import bars_table, contenders_table, write_json
from benchmarks.index.vectors import Recipe, make
from index_service.definition import LOCAL_ENGINES, EngineKind

_NAMES = (*PACKAGES, *OWN_PARTS)
_ENGINES = tuple(kind.value for kind in EngineKind if kind in LOCAL_ENGINES)
# The exact engine does the same as NumPy.
_DEFAULT_ENGINES = ",".join(kind for kind in _ENGINES if kind != EngineKind.EXACT)
_WIDTH = 150
_MIN_COUNT = 100

T = TypeVar("T")


def main(
    sizes: Annotated[str, typer.Option(help="Numbers of vectors.")] = "20000,200000,1000000",
    seconds: Annotated[
        float, typer.Option(min=0, help="Measured time of each contender; at least one pass over all queries.")
    ] = 20.0,
    engines: Annotated[str, typer.Option(help=f"Engines of the service: {', '.join(_ENGINES)}.")] = _DEFAULT_ENGINES,
    only: Annotated[str, typer.Option(help="Contenders.")] = ",".join(_NAMES),
    recall: Annotated[float, typer.Option(min=0, max=1, help="The recall@10 to reach.")] = 0.95,
    queries: Annotated[int, typer.Option(min=10, help="Queries for tuning, and again as many for measuring.")] = 500,
    words: Annotated[Path, typer.Option(help="Real word vectors.", exists=True)] = Path("starter/bundle/words.npy"),
    cache: Annotated[Path, typer.Option(help="Folder that keeps vectors and indexes.")] = Path("var/bench-index"),
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/index.json"),
) -> None:
    """Compare recall, latency, memory and disk usage of vector indexes."""
    names = _listed(only, lambda name: _one_of(name, _NAMES), "--only")
    contenders, missing = load(name for name in names if name in PACKAGES)
    plan = Plan(
        contenders=contenders,
        engines=_listed(engines, lambda name: EngineKind(_one_of(name, _ENGINES)), "--engines"),
        own_parts=frozenset(names) & frozenset(OWN_PARTS),
        target=recall,
        seconds=seconds,
    )
    console = Console()
    console.width = max(console.width, _WIDTH)  # so that a table written to a file is not cut
    measured: list[Size] = []
    for count in _listed(sizes, _count, "--sizes"):
        with console.status(f"{count:,} vectors: generating") as status:

            def report(what: str, count: int = count) -> None:
                status.update(f"{count:,} vectors: {what}")

            corpus = make(Recipe(words, count, queries), cache)
            measured.append(measure(corpus, plan, report))
        console.print(contenders_table(measured[-1]))
        judged = bars(measured, recall)
        write_json(out, measured, judged, missing, _run(seconds, recall, queries))
    console.print(bars_table(judged))
    for sentence in missing:
        console.print(sentence)
    console.print(f"All figures: {out}")


def _listed(text: str, read: Callable[[str], T], option: str) -> list[T]:
    try:
        return [read(part.strip().replace("_", "")) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _count(text: str) -> int:
    count = int(text)
    if count < _MIN_COUNT:
        raise ValueError(f"at least {_MIN_COUNT} vectors are needed to measure anything")
    return count


def _one_of(name: str, names: tuple[str, ...]) -> str:
    if name not in names:
        raise ValueError(f"'{name}' is not one of {', '.join(names)}")
    return name


def _run(seconds: float, recall: float, queries: int) -> dict[str, object]:
    return {
        "seconds": seconds,
        "recall": recall,
        "queries": queries,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": {package: _version(package) for package in PACKAGES.values()},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the processes it started are stopped too
    typer.run(main)
