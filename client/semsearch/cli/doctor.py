"""`semsearch doctor`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import typer

from semsearch import suites
from semsearch.cli import addresses, options
from semsearch.cli.output import Output, counted
from semsearch.client import DEFAULT_SERVER, Client
from semsearch.doctor.certificates import own_certificate_problem
from semsearch.doctor.contents import examine_indexes, examine_model_and_collections, switch_in_progress
from semsearch.doctor.findings import Finding, State
from semsearch.doctor.machine import examine_disk, examine_suite, examine_versions
from semsearch.doctor.places import places_of
from semsearch.doctor.services import examine_service
from semsearch.index_operations import DEFAULT_INDEX_ADDRESS, IndexOperations

_CALL_SECONDS = 10.0


def doctor(
    server: options.Server = DEFAULT_SERVER,
    index_address: addresses.IndexAddress = DEFAULT_INDEX_ADDRESS,
    as_json: options.Json = False,
) -> None:
    """Examine the suite: its services, model, disk, recall and merges. Say what to do; change nothing.

    The exit status is 1 if there is a problem.
    """
    output = Output(as_json)
    findings = list(_examine(server, index_address))
    problems = [each for each in findings if each.state is State.PROBLEM]
    if as_json:
        output.document({"well": not problems, "findings": findings})
    else:
        output.table(["part", "state", "found"], [[each.part, each.state.value, each.text] for each in findings])
        for advice, parts in _advice(findings).items():
            output.sentence(f"{', '.join(parts)}: {advice}")
        output.sentence(f"{counted(len(problems), 'problem')}." if problems else "No problems.")
    if problems:
        raise typer.Exit(1)


def _examine(server: str, index_address: str) -> Iterator[Finding]:
    suite = suites.of_this_folder()
    is_here = suites.on_this_machine(server)
    yield examine_versions()
    if is_here:
        yield examine_suite(suite)
    if own := own_certificate_problem():
        yield own
    serving = set()
    everywhere = places_of(server, index_address, suite)
    for places in everywhere:
        found = list(examine_service(places, suite_runs=bool(suite.pid)))
        if found[0].state is State.OK:
            serving.add(places.service)
        yield from found
    if "gateway" in serving:
        with Client(server, timeout=_CALL_SECONDS) as client:
            metrics = [each for places in everywhere for each in places.others if each.is_of("gateway", "metrics")]
            yield from examine_model_and_collections(client, is_switching=switch_in_progress(metrics))
    largest = 0
    if "index" in serving:
        with IndexOperations(index_address, timeout=_CALL_SECONDS) as service:
            found, largest = examine_indexes(service)
            yield from found
    if is_here:
        yield from examine_disk(largest)


def _advice(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """Return each piece of advice with the parts that it is for."""
    parts: dict[str, list[str]] = {}
    for each in findings:
        if each.advice:
            parts.setdefault(each.advice, []).append(each.part)
    return parts
