"""Tries every fault under load, and prints the table: `python -m tests.cluster.fault_table`.

The exit status is 1 if an answer was wrong, something acknowledged was lost, or calls failed after the failover.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.cluster.faults import OURS, RESTARTS, WEAVIATE, Fault
from tests.cluster.load import Load
from tests.cluster.pictures import embedded, embedded_words
from tests.cluster.suite import Suite, suite
from tests.cluster.trial import HEADINGS, Result, missing, row, run_trial
from tests.cluster.weaviate_nodes import need_weaviate

PICTURES = 1_200
INITIAL = 200
DISK_MEGABYTES = 256
FAULT_SECONDS = 12.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", help="only those whose name contains one of these words")
    parser.add_argument("--local", action="store_true", help="the index keeps its vectors itself, without Weaviate")
    chosen = parser.parse_args()
    faults = [
        fault
        for fault in (*OURS, *(() if chosen.local else WEAVIATE), *RESTARTS)
        if not chosen.faults or any(word in fault.name for word in chosen.faults)
    ]
    weaviate = None if chosen.local else need_weaviate()
    with (
        tempfile.TemporaryDirectory(prefix="semsearch-cluster-") as folder,
        suite(Path(folder), weaviate=weaviate, disk_megabytes=DISK_MEGABYTES) as made,
    ):
        problems = try_all(made, faults)
    sys.exit("\n".join(problems))


def try_all(made: Suite, faults: list[Fault]) -> list[str]:
    """Print a line for each fault; return what is wrong."""
    pictures, words = embedded(made.an_embedder, PICTURES), embedded_words(made.an_embedder)
    problems: list[str] = []
    loads: list[Load] = []
    show(HEADINGS)
    show(["---", *["---:"] * (len(HEADINGS) - 1)])
    for number, fault in enumerate(faults):
        load = Load(made.address, f"fault-{number}", pictures, words)
        load.fill(INITIAL)
        loads.append(load)
        result = run_trial(made, load, fault, FAULT_SECONDS)
        show(row(result))
        problems += [f"{fault.name}: {each}" for each in problems_of(result)]
    problems += [f"{load.collection} at the end: {lost}" for load in loads if (lost := missing(load))]
    return problems


def problems_of(result: Result) -> list[str]:
    """Return what must not happen."""
    found = [*result.wrong, *([result.lost] if result.lost else []), *result.out_of_time]
    if result.fault in RESTARTS:
        found += [f"{call.kind} by a default client: {call.failure}" for call in result.failed(is_plain=False)]
    return found


def show(cells: list[str] | tuple[object, ...]) -> None:
    print("|", " | ".join(map(str, cells)), "|", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
