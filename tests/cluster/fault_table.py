"""Tries every fault under load, and writes the table: `python -m tests.cluster.fault_table --help`.

The exit status is 1 if an answer was wrong, something acknowledged was lost, or calls failed for longer than a failover
may take.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.cluster.faults import ALL, FRONT, IMAGES, INDEX, READS, RESTARTS, SLOW_LINKS, Fault, of_nodes
from tests.cluster.guard import Guarded
from tests.cluster.hard_faults import hard_faults
from tests.cluster.load import Load
from tests.cluster.pictures import embedded, embedded_words
from tests.cluster.report import Report, open_report
from tests.cluster.suite import Suite, suite
from tests.cluster.trial import Result, run_trial
from tests.faults.seam import build, compiler
from tests.weaviate_server import need_weaviate

TABLE = Path("build/cluster-faults.md")
PICTURES = 1_200
INITIAL = 100
DISK_MEGABYTES = 256
FAULT_SECONDS = 12.0
# Of three replicas, which calls go on when one is away.
SERVED = {"ALL": READS, "QUORUM": ALL}


@dataclass(frozen=True)
class Trials:
    """A suite, which is started in a folder, and the faults that are tried on it."""

    title: str
    start: Callable[[Path], AbstractContextManager[Suite]]
    faults: Sequence[Fault]


def with_weaviate(consistency: str) -> Trials:
    """Return the trials of all parts, with three nodes of Weaviate behind the index."""
    program = need_weaviate()
    return Trials(
        f"Three nodes of Weaviate keep the vectors, consistency {consistency}",
        partial(suite, disk_megabytes=DISK_MEGABYTES, weaviate=program, consistency=consistency),
        (*IMAGES, *FRONT, *INDEX, *SLOW_LINKS, *of_nodes(SERVED[consistency]), *RESTARTS),
    )


def with_index() -> Trials:
    """Return the trials of an index that keeps the vectors itself."""
    return Trials(
        "The index keeps the vectors itself",
        partial(suite, disk_megabytes=DISK_MEGABYTES),
        (*INDEX, *SLOW_LINKS, *RESTARTS),
    )


def guarded(folder: Path, points: int, kills: int) -> Trials:
    """Return the trials of hard faults with certificates and tokens."""
    found = compiler()
    if found is None:
        sys.exit("There is no C compiler: install one (Debian and Ubuntu: apt install g++).")
    return Trials(
        "Certificates on every hop, and tokens",
        partial(suite, disk_megabytes=DISK_MEGABYTES, guard=Guarded(folder / "guard")),
        hard_faults(build(found, folder), points, kills),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose name contains one of these words")
    parser.add_argument("--consistency", choices=SERVED, default="ALL", help="of the index in Weaviate")
    parser.add_argument("--guarded", action="store_true", help="hard faults, with certificates and tokens")
    parser.add_argument("--points", type=int, default=40, help="of changes of files at which a server is stopped")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--table", type=Path, default=TABLE, help="the file to write")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the machines are removed
    if os.geteuid() != 0:
        sys.exit("Network namespaces need root: run it with sudo.")
    with tempfile.TemporaryDirectory(prefix="semsearch-cluster-") as name, open_report(options.table) as report:
        folder = Path(name)
        all_trials = (
            [guarded(folder, options.points, options.kills)]
            if options.guarded
            else [with_weaviate(options.consistency), with_index()]
        )
        problems: list[str] = []
        for number, trials in enumerate(all_trials):
            words = options.words or [""]
            faults = [fault for fault in trials.faults if any(word in fault.name for word in words)]
            if faults:
                machines = folder / str(number)
                machines.mkdir()
                report.begin(trials.title)
                with trials.start(machines) as made:
                    found = try_all(made, faults, report)
                report.end(found)
                problems += found
    sys.exit(bool(problems))


def try_all(made: Suite, faults: Sequence[Fault], report: Report) -> list[str]:
    """Report each fault, which has a collection of its own; return what is wrong."""
    pictures, queries = embedded(made.an_embedder(), PICTURES), embedded_words(made.an_embedder())
    problems: list[str] = []
    loads: list[Load] = []
    for number, fault in enumerate(faults):
        load = Load(made.gallery(f"fault-{number}"), pictures, queries)
        load.fill(INITIAL)
        loads.append(load)
        result = run_trial(made, load, fault, FAULT_SECONDS)
        report.add(result)
        problems += [f"{fault.name}: {each}" for each in problems_of(result)]
    lost = ((fault.name, load.check()) for fault, load in zip(faults, loads, strict=True))
    return problems + [f"{name}, at the very end: {what}" for name, what in lost if what]


def problems_of(result: Result) -> list[str]:
    """Return what must not happen."""
    found = [*result.wrong, *([result.lost] if result.lost else []), *result.out_of_time]
    if result.fault in RESTARTS:
        found += [f"{call.kind} by a default client: {call.failure}" for call in result.failed(is_plain=False)]
    return found


if __name__ == "__main__":
    main()
