"""Bytes on disk and in memory for each vector, and milliseconds of processor time for a search, of each engine.

    python -m benchmarks.scale.sizes --rows 50000

An index of words and mixtures (benchmarks/index/vectors.py) is filled through the service and folded into one segment;
then it is searched on one connection. Own memory (RssAnon) is compared with that of the service with an empty folder;
mapped files (RssFile) can be reclaimed by the system at any time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.index.memory import Memory
from benchmarks.index.service import data_of, fill, search
from benchmarks.index.service_process import running
from benchmarks.index.vectors import Recipe, make
from benchmarks.scale.recording import processor_ms
from benchmarks.service_process import Running
from index_service.definition import EngineKind

_ENGINES = (EngineKind.ANNOY, EngineKind.HNSW, EngineKind.EXACT)
_TARGET = 0.95
console = Console()


def main(
    rows: Annotated[int, typer.Option(min=20_000, help="Vectors of 300 numbers.")] = 50_000,
    cache: Annotated[Path, typer.Option(help="Folder for the vectors and indexes.")] = Path("var/benchmarks/sizes"),
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/sizes.json"),
) -> None:
    """Measure what a vector takes."""
    corpus = make(Recipe(Path("starter/bundle/words.npy"), rows), cache)
    with running(cache / "empty") as service:
        empty = Memory.of(service.process_id)
    table = Table("engine", "store B", "segment B", "own memory B", "mapped B", "search ms", "p99 ms", "recall@10")
    measured = []
    for engine in _ENGINES:
        built = fill(corpus, engine, _TARGET, lambda _: None)
        with running(data_of(built)) as service:
            process = Running(service.process_id, "")
            costs, found = [], []
            for number, query in enumerate(corpus.measuring.vectors):
                before = processor_ms(process)
                answer = search(service, query)
                if number >= len(corpus.measuring.vectors) // 10:
                    costs.append(processor_ms(process) - before)
                    found.append(len(set(answer) & set(corpus.measuring.positions[number][:10])) / 10)
            memory = Memory.of(service.process_id)
        assert memory is not None
        assert empty is not None
        disk, segment = built.figures["disk_bytes"], built.figures["segment_bytes"]
        figures = {
            "store_bytes": (disk - segment) / rows,
            "segment_bytes": segment / rows,
            "own_memory_bytes": (memory.own - empty.own) * 2**20 / rows,
            "mapped_bytes": (memory.mapped - empty.mapped) * 2**20 / rows,
            "search_ms": float(np.mean(costs)),
            "search_p99_ms": float(np.quantile(costs, 0.99)),
            "recall": float(np.mean(found)),
        }
        measured.append({"engine": engine.name.lower(), "rows": rows, **figures})
        sizes = [f"{figures[name]:,.0f}" for name in list(figures)[:4]]
        table.add_row(engine.name.lower(), *sizes, *(f"{figures[name]:.2f}" for name in list(figures)[4:]))
    console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
