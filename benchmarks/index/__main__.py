"""Vector search side by side: this project's index, Annoy, hnswlib, usearch, faiss and NumPy, in one run.

    make bench-index                          # 20,000, 200,000 and 1,000,000 vectors
    make bench-index SIZES=20000              # only those
    python -m benchmarks.index --help

All race at the recall that they reach on queries which tuned them, measured on others. What was built is kept in the
cache, so a run that was interrupted goes on where it stopped. Compare the rows of one run, never two runs.
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
from index_service.definition import EngineKind

_NAMES = (*PACKAGES, *OWN_PARTS)
_ENGINES = tuple(kind.value for kind in EngineKind)
# The exact engine is what NumPy is.
_DEFAULT_ENGINES = ",".join(kind for kind in _ENGINES if kind != EngineKind.EXACT)
_WIDTH = 150
_FEWEST = 100

T = TypeVar("T")


def main(
    sizes: Annotated[str, typer.Option(help="Numbers of vectors.")] = "20000,200000,1000000",
    seconds: Annotated[
        float, typer.Option(min=0, help="How long each contender is measured; at least all queries.")
    ] = 20.0,
    engines: Annotated[str, typer.Option(help=f"Engines of the service: {', '.join(_ENGINES)}.")] = _DEFAULT_ENGINES,
    only: Annotated[str, typer.Option(help="Who takes part.")] = ",".join(_NAMES),
    recall: Annotated[float, typer.Option(min=0, max=1, help="The recall@10 that all are to reach.")] = 0.95,
    queries: Annotated[int, typer.Option(min=10, help="Queries that tune, and as many that measure.")] = 500,
    words: Annotated[Path, typer.Option(help="The real word vectors.", exists=True)] = Path("starter/bundle/words.npy"),
    cache: Annotated[Path, typer.Option(help="Where vectors and indexes are kept.")] = Path("var/bench-index"),
    out: Annotated[Path, typer.Option(help="JSON with the figures.")] = Path("benchmarks/results/index.json"),
) -> None:
    """Measure recall, latency, memory and disk of vector indexes side by side."""
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
    console.width = max(console.width, _WIDTH)  # a table that goes to a file is whole
    measured: list[Size] = []
    for count in _listed(sizes, _count, "--sizes"):
        with console.status(f"{count:,} vectors: making them") as status:

            def tell(what: str, count: int = count) -> None:
                status.update(f"{count:,} vectors: {what}")

            corpus = make(Recipe(words, count, queries), cache)
            measured.append(measure(corpus, plan, tell))
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
    if count < _FEWEST:
        raise ValueError(f"it takes at least {_FEWEST} vectors to measure anything")
    return count


def _one_of(name: str, names: tuple[str, ...]) -> str:
    if name not in names:
        raise ValueError(f"'{name}' is none of {', '.join(names)}")
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the processes it started are ended too
    typer.run(main)
