"""The project's performance targets for its index, and whether a run met them.

A bar for one size is judged only at that size; at other sizes its figure is only shown. A comparison at a recall is not
judged if either side missed the recall by more than chance can explain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.bar import Bar
from benchmarks.index.echo_server import DECODING
from benchmarks.index.results import PEERS, EngineFigures, Size, in_process, over_grpc, recall_goal

MERGE_ROWS = 200_000
_RESTART_ROWS = 1_000_000
# The recall of 500 queries is off by 0.01 once in twenty times.
_CHANCE = 0.01


@dataclass(frozen=True)
class SizedBar(Bar):
    """A performance target at one number of rows."""

    rows: int


def bars(sizes: Sequence[Size], target: float) -> list[SizedBar]:
    """Return the bars whose figures were measured."""
    return [bar for size in sizes for engine in size.engines for bar in _of_engine(size, engine, target)]


def _of_engine(size: Size, figures: EngineFigures, target: float) -> Iterator[SizedBar]:
    engine = figures.engine
    mine, other = in_process(engine), over_grpc(engine)

    def at_most(promise: str, figure: float | None, bound: float, *, judged: bool = True) -> Iterator[SizedBar]:
        if figure is not None:
            yield SizedBar(promise, figure, bound, at_most=True, judged=judged, rows=size.rows)

    peer = f"{PEERS.get(engine)}, {recall_goal(engine)}"
    if engine == "annoy":
        if (faster := _ratio(size.p50(peer), size.p50(mine))) is not None:
            judged = size.rows == MERGE_ROWS and _comparable(size, (mine, peer), target)
            promise = f"annoy engine: times faster than bare Annoy at its recall, ≥ {target:g}"
            yield SizedBar(promise, faster, 1.3, at_most=False, judged=judged, rows=size.rows)
        yield from at_most(
            "annoy engine: p50 to that of exact numpy", _ratio(size.p50(mine), size.p50("numpy, exact")), 1.0,
            judged=_comparable(size, (mine,), target),
        )  # fmt: skip
    if engine == "hnsw":
        yield from at_most(
            "hnsw engine: p50 in process to that of bare usearch at its recall",
            _ratio(size.p50(mine), size.p50(peer)), 1.3, judged=_comparable(size, (mine, peer), target),
        )  # fmt: skip
    grpc_p50, mine_p50 = size.p50(other), size.p50(mine)
    added = None if grpc_p50 is None or mine_p50 is None else grpc_p50 - mine_p50
    yield from at_most(
        f"{engine} engine: p50 that gRPC adds to that of the echo", _ratio(added, size.p50(DECODING)), 1.3
    )
    yield SizedBar(
        f"{engine} engine: durable inserts a second",
        figures.inserts_per_s,
        5_000,
        at_most=False,
        judged=True,
        rows=size.rows,
    )
    yield from at_most(
        f"{engine} engine: p99 during a merge of all rows to p99 without",
        _ratio(figures.p99_during_ms, figures.p99_without_ms), 2.0, judged=size.rows == MERGE_ROWS,
    )  # fmt: skip
    yield from at_most(f"{engine} engine: disk of the segments to raw vectors", figures.segments_to_raw, 2.2)
    yield from at_most(f"{engine} engine: disk of store and segments to raw vectors", figures.disk_to_raw, 2.2)
    at_restart = size.rows == _RESTART_ROWS
    yield from at_most(
        f"{engine} engine: seconds from start to first answer", figures.restart_s, 3.0, judged=at_restart
    )
    yield from at_most(f"{engine} engine: own memory then, MB", figures.own_mb_after_restart, 600.0, judged=at_restart)


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one / other


def _comparable(size: Size, contenders: Sequence[str], target: float) -> bool:
    return all((size.recall(name) or 0.0) >= target - _CHANCE for name in contenders)
