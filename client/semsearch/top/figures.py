"""Figures of the calls between two scrapes of a process."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from semsearch.top.scraping import Labels, Scrape

_HANDLED = "grpc_server_handled_total"
_SECONDS = "grpc_server_handling_seconds_bucket"
_IN_FLIGHT = "grpc_server_in_flight"
# Whatever of these a process has.
_QUEUES = ("semsearch_admission_waiting", "semsearch_embedder_queued_images")
_MEMORY = "process_resident_memory_bytes"
_REFUSED = "RESOURCE_EXHAUSTED"
# The other codes are mistakes of callers.
_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


@dataclass(frozen=True)
class CallFigures:
    """Calls that ended: a second, and the seconds that half and 99 % of them took at most; None if none ended."""

    calls: float
    failed: float
    refused: float
    p50: float | None
    p99: float | None
    in_progress: int


@dataclass(frozen=True)
class ProcessFigures:
    """What a process does: all its calls, each method's, what waits, and its memory in bytes."""

    all_calls: CallFigures
    methods: Mapping[str, CallFigures]
    queued: int | None
    memory_bytes: int | None


def figures(before: Scrape, after: Scrape) -> ProcessFigures:
    """Return the figures between two scrapes; a process that was started anew between them counts from its start."""
    seconds = max(after.at - before.at, 1e-9)
    handled = _grown(before, after, _HANDLED)
    buckets = _grown(before, after, _SECONDS)
    in_flight = after.samples.get(_IN_FLIGHT, {})
    names = sorted({_method(labels) for labels in (*handled, *in_flight)})
    queues = [total for name in _QUEUES if (total := after.total(name)) is not None]
    memory = after.total(_MEMORY)
    return ProcessFigures(
        _calls(handled, buckets, in_flight, seconds, names),
        {name: _calls(handled, buckets, in_flight, seconds, [name]) for name in names},
        int(sum(queues)) if queues else None,
        None if memory is None else int(memory),
    )


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """Return the quantile of a histogram, of counts up to each bound; as Prometheus, linear within a bucket."""
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    rank = share * buckets[bounds[-1]]
    lower = below = 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return lower
            here = buckets[bound] - below
            return lower + (bound - lower) * ((rank - below) / here if here else 1.0)
        lower, below = bound, buckets[bound]
    return lower


def _calls(
    handled: Mapping[Labels, float],
    buckets: Mapping[Labels, float],
    in_flight: Mapping[Labels, float],
    seconds: float,
    names: Sequence[str],
) -> CallFigures:
    wanted = frozenset(names)

    def rate(counted: Iterable[tuple[Labels, float]]) -> float:
        return sum(count for _, count in counted) / seconds

    ours = [(labels, count) for labels, count in handled.items() if _method(labels) in wanted]
    bounds: dict[float, float] = {}
    for labels, count in buckets.items():
        if _method(labels) in wanted:
            bound = float(dict(labels)["le"])
            bounds[bound] = bounds.get(bound, 0.0) + count
    return CallFigures(
        calls=rate(ours),
        failed=rate(each for each in ours if _code(each[0]) in _FAULTS),
        refused=rate(each for each in ours if _code(each[0]) == _REFUSED),
        p50=quantile(0.5, bounds),
        p99=quantile(0.99, bounds),
        in_progress=int(sum(count for labels, count in in_flight.items() if _method(labels) in wanted)),
    )


def _grown(before: Scrape, after: Scrape, name: str) -> dict[Labels, float]:
    old, new = before.samples.get(name, {}), after.samples.get(name, {})
    return {
        labels: value - old.get(labels, 0.0) if value >= old.get(labels, 0.0) else value
        for labels, value in new.items()
    }


def _method(labels: Labels) -> str:
    values = dict(labels)
    return f"{values.get('grpc_service', '').rpartition('.')[2]}/{values.get('grpc_method', '')}"


def _code(labels: Labels) -> str:
    return dict(labels).get("grpc_code", "")
