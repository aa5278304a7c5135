"""`semsearch top`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from semsearch import suites
from semsearch.cli import addresses, options
from semsearch.cli.harmless import harmless
from semsearch.cli.output import Output
from semsearch.client import DEFAULT_SERVER
from semsearch.doctor.places import places_of
from semsearch.index_operations import DEFAULT_INDEX_ADDRESS
from semsearch.top.figures import CallFigures, ProcessFigures, figures
from semsearch.top.scraping import NoMetrics, Scrape, scrape

_MOST_METHODS = 12
_NOTHING = "–"
_MIB = 2**20


@dataclass(frozen=True)
class _Process:
    name: str
    address: str


def top(
    server: options.Server = DEFAULT_SERVER,
    index_address: addresses.IndexAddress = DEFAULT_INDEX_ADDRESS,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metrics", metavar="HOST:PORT", help="A metrics port; may be repeated. Default: those of the suite."
        ),
    ] = None,
    interval: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between two readings of the metrics.")
    ] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print the figures of one interval and exit.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show what the services do: calls a second, their times, failures and queues. Ctrl-C ends it.

    The figures are those since the last look. `failed` are faults of the suite; `refused` are calls beyond what it can
    do, or beyond a caller's limits. The exit status is 1 if no process answers.
    """
    output = Output(as_json)
    processes = [_Process(each, each) for each in metrics or ()] or _processes(server, index_address)
    before = _look(processes)
    if not before:
        output.say(_no_answer(processes))
        raise typer.Exit(1)
    if once or as_json or not output.results.is_terminal:
        time.sleep(interval)
        now = _look(processes)
        found = _figures(before, now)
        if as_json:
            output.document({name: found.get(name) for name in (each.name for each in processes)})
        else:
            output.results.print(_tables(processes, found))
        return
    try:
        with Live(_tables(processes, {}), console=output.results, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                now = _look(processes)
                live.update(_tables(processes, _figures(before, now)), refresh=True)
                before = now
    except KeyboardInterrupt:
        return


def _processes(server: str, index_address: str) -> list[_Process]:
    places = places_of(server, index_address, suites.of_this_folder())
    return [
        _Process(each.service, place.address)
        for each in reversed(places)
        for place in each.others
        if place.purpose == "metrics"
    ]


def _look(processes: Sequence[_Process]) -> dict[str, Scrape]:
    """Return the metrics of the processes that answer."""
    found = {}
    for process in processes:
        try:
            found[process.name] = scrape(process.address)
        except NoMetrics:
            continue
    return found


def _figures(before: Mapping[str, Scrape], now: Mapping[str, Scrape]) -> dict[str, ProcessFigures]:
    return {name: figures(before[name], after) for name, after in now.items() if name in before}


def _tables(processes: Sequence[_Process], found: Mapping[str, ProcessFigures]) -> RenderableType:
    overview = _table("process", "calls/s", "failed/s", "refused/s", "p50", "p99", "running", "queued", "memory")
    methods = []
    for process in processes:
        if (each := found.get(process.name)) is None:
            overview.add_row(harmless(process.name), Text("no answer" if found else "…"))
            continue
        memory = _NOTHING if each.memory_bytes is None else f"{each.memory_bytes // _MIB:,} MiB"
        queued = _NOTHING if each.queued is None else f"{each.queued:,}"
        overview.add_row(harmless(process.name), *_cells(each.all_calls), queued, memory)
        methods += [(process.name, name, calls) for name, calls in each.methods.items()]
    busiest = sorted(methods, key=lambda method: (-method[2].calls, -method[2].in_progress, method[1]))[:_MOST_METHODS]
    busy = [each for each in busiest if each[2].calls or each[2].in_progress]
    if not busy:
        return overview
    by_method = _table("method", "calls/s", "failed/s", "refused/s", "p50", "p99", "running", "in")
    for process_name, name, calls in busy:
        by_method.add_row(harmless(name), *_cells(calls), harmless(process_name))
    return Group(overview, by_method)


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cells(calls: CallFigures) -> list[str]:
    return [
        f"{calls.calls:,.1f}",
        f"{calls.failed:,.1f}",
        f"{calls.refused:,.1f}",
        _time(calls.p50),
        _time(calls.p99),
        f"{calls.in_progress:,}",
    ]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return _NOTHING
    return f"{seconds * 1_000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _no_answer(processes: Sequence[_Process]) -> str:
    if not processes:
        return "The metrics ports of that server are unknown: name them with --metrics."
    tried = ", ".join(each.address for each in processes)
    return f"No process answers with metrics at {tried}. Is the suite running, and are its metrics ports on?"
