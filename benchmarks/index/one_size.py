"""Measures all contenders at one number of rows.

First all contenders are built on disk, one at a time; then all are opened, tuned and measured in turns. A search uses
one thread: the client's, and in the service the call's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks.index import echo_server, merge_pause, planner, service, service_process
from benchmarks.index.bars import MERGE_ROWS
from benchmarks.index.built import Built, build
from benchmarks.index.contenders.contract import Contender
from benchmarks.index.measure import Competitor, effort_for, race
from benchmarks.index.memory import Memory
from benchmarks.index.results import PEERS, EngineFigures, Row, Size, in_process, over_grpc, recall_goal
from benchmarks.index.truth import recall
from benchmarks.index.vectors import Corpus, K
from index_service.definition import EngineKind

# This project's own contenders, by their names for --only.
OWN_PARTS = ("planner", "service", "merge")


@dataclass(frozen=True)
class Plan:
    """The contenders, the recall to reach, and the seconds to measure each."""

    contenders: Sequence[Contender]
    engines: Sequence[EngineKind]
    own_parts: frozenset[str]
    target: float
    seconds: float


@dataclass(frozen=True)
class _Entrant:
    """A competitor, and the part of its row that is known before it is measured."""

    competitor: Competitor
    row: Row


def measure(corpus: Corpus, plan: Plan, report: Callable[[str], None]) -> Size:
    """Build what is not built yet, and measure; pass progress to `report`."""
    with ExitStack() as stack:
        built = []
        for contender in plan.contenders:
            report(f"building {contender.name}")
            built.append((contender, build(contender, corpus.rows_file)))
        data: dict[EngineKind, Built] = {}
        figures: dict[EngineKind, EngineFigures] = {}
        for engine in plan.engines if plan.own_parts else ():
            report(f"{engine} engine: starting")
            data[engine] = service.fill(corpus, engine, plan.target, report)
            figures[engine] = _figures(corpus, engine, data[engine])
            if "merge" in plan.own_parts and len(corpus.rows) <= MERGE_ROWS:
                report(f"{engine} engine: searching during a merge")
                figures[engine] = _with_merge(corpus, figures[engine], data[engine], plan.seconds)
        report("tuning")
        stack.enter_context(threadpool_limits(1))
        corpus.rows[:, 0].sum()  # load all pages, so that no contender is charged for them
        entrants: list[_Entrant] = []
        goals: dict[str, dict[str, float]] = {contender.name: {} for contender in plan.contenders}
        for engine in data if "planner" in plan.own_parts else ():
            clone = stack.enter_context(service.clone(service.data_of(data[engine])))
            entrants.append(_planner(stack, corpus, engine, data[engine], clone))
            if (peer := PEERS.get(engine.value)) in goals:
                found = [entrants[-1].competitor.search(query) for query in corpus.tuning.vectors]
                goals[peer][recall_goal(engine.value)] = recall(found, corpus.tuning, corpus.rows)
        for contender, files in built:
            goal = {f"recall ≥ {plan.target:g}": plan.target} | goals[contender.name]
            entrants.extend(_tuned(corpus, contender, files, goal))
        for engine in data:
            if "service" in plan.own_parts:
                entrant, figures[engine] = _service(stack, corpus, engine, data[engine], figures[engine])
                entrants.append(entrant)
        if "service" in plan.own_parts:
            echoes = stack.enter_context(echo_server.running(len(corpus.rows)))
            entrants.extend(_Entrant(echo, _row(echo.name, "")) for echo in echoes)
        return Size(len(corpus.rows), _measured(corpus, entrants, plan.seconds, report), tuple(figures.values()))


def _measured(
    corpus: Corpus, entrants: Sequence[_Entrant], seconds: float, report: Callable[[str], None]
) -> tuple[Row, ...]:
    raced = race([entrant.competitor for entrant in entrants], corpus.measuring.vectors, seconds, report)
    rows = []
    for entrant in entrants:
        timed = raced[entrant.competitor.name]
        searches = any(len(found) for found in timed.found)
        rows.append(
            replace(
                entrant.row,
                recall=recall(timed.found, corpus.measuring, corpus.rows) if searches else None,
                p50_ms=timed.latencies.quantile(0.5),
                p99_ms=timed.latencies.quantile(0.99),
                queries_per_s=timed.latencies.per_second,
            )
        )
    return tuple(rows)


def _tuned(corpus: Corpus, contender: Contender, built: Built, goals: Mapping[str, float]) -> list[_Entrant]:
    """Open a contender; return an entrant for the least effort that reaches each goal, and one for its default."""
    before = Memory.of()
    searcher = contender.open(corpus.rows_file, built.folder)
    efforts: dict[str, int | None] = {contender.name: None}
    if contender.efforts:
        efforts = {
            f"{contender.name}, {goal}": effort_for(searcher, contender.efforts, corpus.tuning, corpus.rows, target)
            for goal, target in goals.items()
        }
        if contender.default_effort is not None:
            efforts[f"{contender.name}, default"] = contender.default_effort
    search = partial(searcher.nearest, k=K)
    search(corpus.tuning.vectors[0])
    memory = Memory.since(before)
    return [
        _Entrant(
            Competitor(name, search, (lambda: None) if effort is None else partial(searcher.set_effort, effort)),
            _row(name, contender.parameters, built, memory, effort),
        )
        for name, effort in efforts.items()
    ]


def _planner(stack: ExitStack, corpus: Corpus, engine: EngineKind, built: Built, clone: Path) -> _Entrant:
    before = Memory.of()
    search = stack.enter_context(planner.open_index(clone))
    search(corpus.tuning.vectors[0])
    name = in_process(engine)
    return _Entrant(Competitor(name, search), _row(name, "", built, Memory.since(before)))


def _service(
    stack: ExitStack, corpus: Corpus, engine: EngineKind, built: Built, figures: EngineFigures
) -> tuple[_Entrant, EngineFigures]:
    running = stack.enter_context(service_process.running(service.data_of(built)))
    seconds = service.first_answer(running, corpus.tuning.vectors[0])
    memory = Memory.of(running.process_id)
    name = over_grpc(engine)
    row = replace(_row(name, "", built, memory), inserts_per_s=figures.inserts_per_s)
    return (
        _Entrant(Competitor(name, partial(service.search, running)), row),
        replace(figures, restart_s=seconds, own_mb_after_restart=memory.own if memory else None),
    )


def _figures(corpus: Corpus, engine: EngineKind, built: Built) -> EngineFigures:
    return EngineFigures(
        engine=engine.value,
        inserts_per_s=built.figures["inserts_per_s"],
        disk_to_raw=built.figures["disk_bytes"] / corpus.rows.nbytes,
        segments_to_raw=built.figures["segment_bytes"] / corpus.rows.nbytes,
    )


def _with_merge(corpus: Corpus, figures: EngineFigures, built: Built, seconds: float) -> EngineFigures:
    pause = merge_pause.measure(service.data_of(built), corpus.measuring.vectors, seconds)
    return replace(
        figures, p99_without_ms=pause.p99_without_ms, p99_during_ms=pause.p99_during_ms, merge_s=pause.merge_s
    )


def _row(
    name: str, parameters: str, built: Built | None = None, memory: Memory | None = None, effort: int | None = None
) -> Row:
    return Row(
        contender=name,
        parameters=parameters,
        effort=effort,
        recall=None,
        p50_ms=0.0,
        p99_ms=0.0,
        queries_per_s=0.0,
        build_s=built.figures["build_s"] if built else None,
        own_mb=memory.own if memory else None,
        mapped_mb=memory.mapped if memory else None,
        disk_mb=built.figures["disk_bytes"] / 2**20 if built else None,
    )
