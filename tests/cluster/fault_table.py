"""Tries every fault under load, and prints the table: `python -m tests.cluster.fault_table`.

The exit status is 1 if an answer was wrong, something acknowledged was lost, or calls failed for longer than a failover
may take.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.cluster.faults import NODES, NONE, OURS, RESTARTS, Fault, killed
from tests.cluster.gallery import GatewayGallery
from tests.cluster.load import Load
from tests.cluster.pictures import embedded, embedded_words
from tests.cluster.suite import Suite, suite
from tests.cluster.trial import HEADINGS, Result, row, run_trial
from tests.weaviate_server import need_weaviate

PICTURES = 1_200
INITIAL = 200
DISK_MEGABYTES = 256
FAULT_SECONDS = 12.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose name contains one of these words")
    words = parser.parse_args().words
    if os.geteuid() != 0:
        sys.exit("Network namespaces need root: run it with sudo.")
    weaviate = need_weaviate()
    problems: list[str] = []
    for title, program, faults in (
        ("The index keeps its vectors itself", None, (*OURS, *RESTARTS)),
        (
            "The index keeps its vectors on three nodes of Weaviate",
            weaviate,
            (*NODES, killed("index", served=NONE)),
        ),
    ):
        chosen = [fault for fault in faults if not words or any(word in fault.name for word in words)]
        if chosen:
            show(f"\n{title}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n")
            with (
                tempfile.TemporaryDirectory(prefix="semsearch-cluster-") as folder,
                suite(Path(folder), disk_megabytes=DISK_MEGABYTES, weaviate=program) as made,
            ):
                found = try_all(made, chosen)
            show("\n".join(["", *(f"- {each}" for each in found)]))
            problems += found
    sys.exit(bool(problems))


def try_all(made: Suite, faults: Sequence[Fault]) -> list[str]:
    """Print a line for each fault, which has a collection of its own; return what is wrong."""
    pictures, queries = embedded(made.an_embedder, PICTURES), embedded_words(made.an_embedder)
    show_row(HEADINGS)
    show_row(["---", *["---:"] * (len(HEADINGS) - 1)])
    problems: list[str] = []
    loads: list[Load] = []
    for number, fault in enumerate(faults):
        load = Load(partial(GatewayGallery, made.address, f"fault-{number}"), pictures, queries)
        load.fill(INITIAL)
        loads.append(load)
        result = run_trial(made, load, fault, FAULT_SECONDS)
        show_row(row(result))
        problems += [f"{fault.name}: {each}" for each in problems_of(result)]
    lost = ((fault.name, load.check()) for fault, load in zip(faults, loads, strict=True))
    return problems + [f"{name}, at the very end: {what}" for name, what in lost if what]


def problems_of(result: Result) -> list[str]:
    """Return what must not happen."""
    found = [*result.wrong, *([result.lost] if result.lost else []), *result.out_of_time]
    if result.fault in RESTARTS:
        found += [f"{call.kind} by a default client: {call.failure}" for call in result.failed(is_plain=False)]
    return found


def show_row(cells: Sequence[object]) -> None:
    show(f"| {' | '.join(map(str, cells))} |")


def show(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
