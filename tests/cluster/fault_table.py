"""Tries every fault under load, and writes the table: `python -m tests.cluster.fault_table --help`.

The exit status is 1 if an answer was wrong, something acknowledged was lost, or calls failed for longer than a failover
may take.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from tests.cluster.faults import ALL, FRONT, IMAGES, INDEX, READS, RESTARTS, SLOW_LINKS, Fault, of_nodes
from tests.cluster.gallery import GatewayGallery
from tests.cluster.load import Load
from tests.cluster.pictures import embedded, embedded_words
from tests.cluster.suite import Suite, suite
from tests.cluster.trial import HEADINGS, Result, row, run_trial
from tests.weaviate_server import need_weaviate

TABLE = Path("build/cluster-faults.md")
PICTURES = 1_200
INITIAL = 100
DISK_MEGABYTES = 256
FAULT_SECONDS = 12.0
# Of three replicas, which calls go on when one is away.
SERVED = {"ALL": READS, "QUORUM": ALL}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose name contains one of these words")
    parser.add_argument("--consistency", choices=SERVED, default="ALL", help="of the index in Weaviate")
    parser.add_argument("--table", type=Path, default=TABLE, help="the file to write")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the machines are removed
    if os.geteuid() != 0:
        sys.exit("Network namespaces need root: run it with sudo.")
    weaviate = need_weaviate()
    nodes = of_nodes(SERVED[options.consistency])
    problems: list[str] = []
    options.table.parent.mkdir(parents=True, exist_ok=True)
    with options.table.open("w") as table, options.table.with_suffix(".jsonl").open("w") as details:
        show = partial(_show, table)
        for title, program, faults in (
            (
                f"Three nodes of Weaviate keep the vectors, consistency {options.consistency}",
                weaviate,
                (*IMAGES, *FRONT, *INDEX, *SLOW_LINKS, *nodes, *RESTARTS),
            ),
            ("The index keeps the vectors itself", None, (*INDEX, *SLOW_LINKS, *RESTARTS)),
        ):
            chosen = [
                fault for fault in faults if not options.words or any(word in fault.name for word in options.words)
            ]
            if chosen:
                show(f"\n{title}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n")
                with (
                    tempfile.TemporaryDirectory(prefix="semsearch-cluster-") as folder,
                    suite(
                        Path(folder),
                        disk_megabytes=DISK_MEGABYTES,
                        weaviate=program,
                        consistency=options.consistency,
                    ) as made,
                ):
                    found = try_all(made, chosen, show, details)
                show("\n".join(["", *(f"- {each}" for each in found)]))
                problems += found
    sys.exit(bool(problems))


def try_all(made: Suite, faults: Sequence[Fault], show: Callable[[str], None], details: TextIO) -> list[str]:
    """Show a line for each fault, which has a collection of its own; return what is wrong."""
    pictures, queries = embedded(made.an_embedder, PICTURES), embedded_words(made.an_embedder)
    show(_line(HEADINGS))
    show(_line(["---", *["---:"] * (len(HEADINGS) - 1)]))
    problems: list[str] = []
    loads: list[Load] = []
    for number, fault in enumerate(faults):
        load = Load(partial(GatewayGallery, made.address, f"fault-{number}"), pictures, queries)
        load.fill(INITIAL)
        loads.append(load)
        result = run_trial(made, load, fault, FAULT_SECONDS)
        show(_line(row(result)))
        details.write(f"{json.dumps(detailed(result))}\n")
        details.flush()  # a run takes long
        problems += [f"{fault.name}: {each}" for each in problems_of(result)]
    lost = ((fault.name, load.check()) for fault, load in zip(faults, loads, strict=True))
    return problems + [f"{name}, at the very end: {what}" for name, what in lost if what]


def detailed(result: Result) -> dict[str, object]:
    """Return what is known of the calls that were not answered, or answered wrongly."""
    return {
        "fault": result.fault.name,
        "healed": round(result.healed - result.struck, 2),
        "lost": result.lost,
        "silence": [*result.silence],
        "calls": [
            {
                "kind": call.kind,
                "client": "plain" if call.is_plain else "default",
                "start": round(call.start - result.struck, 2),
                "seconds": round(call.end - call.start, 2),
                "failure": call.failure,
                "wrong": call.fault,
            }
            for call in result.calls
            if call.failure or call.fault
        ],
    }


def problems_of(result: Result) -> list[str]:
    """Return what must not happen."""
    found = [*result.wrong, *([result.lost] if result.lost else []), *result.out_of_time]
    if result.fault in RESTARTS:
        found += [f"{call.kind} by a default client: {call.failure}" for call in result.failed(is_plain=False)]
    return found


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _show(table: TextIO, line: str) -> None:
    """Print a line at once, and write it into the table's file."""
    for to in (table, sys.stdout):
        to.write(f"{line}\n")
        to.flush()


if __name__ == "__main__":
    main()
