"""Measures a newly built segment and makes its search plan, in the process that built it.

The queries are made from rows that the engine's files leave out. Half of them choose an effort. The other half confirm
it and measure the recall: the effort is raised until they reach the target, and until the recall of all queries exceeds
it by more than its error. Real queries may be distributed differently from the rows; then a graph, whose paths lead
along rows, finds fewer neighbours, a forest hardly any fewer (Jaiswal et al. 2022, OOD-DiskANN). So queries can be
shifted, each towards another row. The ground truth comes from the exact engine. Times are CPU times of one thread: by
the clock, other load makes long searches look slower than they are, so that all rows would be compared. The lower
quartile is used.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from index_service.engines.approximate import Proposer
from index_service.engines.planning import KS, LEAST_MARGIN, Plan, Point
from index_service.vectors import Mask, Positions, Vectors, distances, nearest, nearest_of, unit

# The same vectors give the same files.
SEED = 20_090_401
_HELD_OUT = 512
_HELD_OUT_SHARE = 0.05
_SCANS = 16
_BATCH = 32
# No effort is measured beyond this multiple of a scan's cost, nor beyond this recall.
_MAX_COST = 2.0
_MAX_RECALL = 0.998
# Standard errors between a measured recall and a lower bound that holds 19 times in 20.
_STANDARD_ERRORS = 1.64
_MARGINS = (LEAST_MARGIN, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85)


def held_out_rows(count: int) -> Positions:
    """Return the positions, ascending, that an engine's files over `count` rows leave out."""
    size = min(_HELD_OUT, int(_HELD_OUT_SHARE * count))
    return np.sort(np.random.default_rng(SEED).permutation(count)[:size]).astype(np.intp)


def make_plan(
    vectors: Vectors,
    held_out: Positions,
    proposer: Proposer,
    first_effort: int,
    components: int,
    target: float,
    shift: float = 0.0,
) -> Plan:
    """Measure efforts, starting at the first and doubling, until the recall is high enough or the cost too high.

    Args:
        vectors: float32 (n, dimension), all rows of the segment.
        held_out: positions that the proposer leaves out.
        proposer: the engine's files.
        first_effort: the least effort worth measuring.
        components: dimension of the vectors that the proposer keeps.
        target: the index's recall target.
        shift: how much of another row is added to each query.
    """
    plan = Plan(components, target, held_out=tuple(held_out.tolist()))
    known = np.ones(len(vectors), dtype=np.bool_)
    known[held_out] = False
    if len(held_out) < 4 or np.count_nonzero(known) <= KS[-1]:
        return plan
    chosen = vectors[np.random.default_rng(SEED).permutation(held_out)]  # so that each half samples all rows
    queries = unit(chosen + shift * np.roll(chosen, 1, axis=0)) if shift else chosen
    truth = [
        _ranked(query, near, vectors)
        for query, near in zip(queries, nearest(queries, KS[-1], vectors, known), strict=True)
    ]
    half = len(queries) // 2
    scan, batch_scan = _scan_times(vectors, queries, known)
    points: list[Point] = []
    tried = first_effort
    while tried < len(vectors):
        points.append(_point(tried, proposer, vectors, queries[:half], truth[:half], points))
        tried *= 2
        if min(points[-1].recalls) >= _MAX_RECALL or points[-1].milliseconds[0] > _MAX_COST * scan:
            break
    plan = replace(plan, points=tuple(points), scan_milliseconds=scan, batch_scan_milliseconds=batch_scan)
    return _confirmed(plan, proposer, vectors, queries[half:], truth[half:])


def _confirmed(plan: Plan, proposer: Proposer, vectors: Vectors, queries: Vectors, truth: Sequence[Positions]) -> Plan:
    """Return the plan with the least margin at which queries that did not choose the effort reach the target.

    The recall of both halves together must exceed the target by more than its sampling error. If no margin is enough,
    all rows are compared.
    """
    for margin in _MARGINS:
        aimed = replace(plan, margin=margin)
        effort = aimed.effort(KS[0], plan.target)
        if effort is None:
            return aimed
        shares, _ = _searched(KS[0], effort, proposer, vectors, queries, truth)
        recall = float(np.mean(shares))
        # The other half, which chose the effort, reached what it was aimed at.
        both = (plan.target + margin * (1 - plan.target) + recall) / 2
        error = float(np.std(shares)) / math.sqrt(2 * len(shares))
        if min(recall, both - _STANDARD_ERRORS * error) >= plan.target:
            return replace(aimed, recall=recall, queries=len(queries))
    return replace(plan, points=())


def _point(
    effort: int,
    proposer: Proposer,
    vectors: Vectors,
    queries: Vectors,
    truth: Sequence[Positions],
    before: Sequence[Point],
) -> Point:
    recalls, times = [], []
    for column, k in enumerate(KS):
        shares, milliseconds = _searched(k, effort, proposer, vectors, queries, truth)
        recalls.append(max(float(np.mean(shares)), before[-1].recalls[column] if before else 0.0))
        times.append(_typical(milliseconds))
    return Point(effort, tuple(recalls), tuple(times))


def _searched(
    k: int, effort: int, proposer: Proposer, vectors: Vectors, queries: Vectors, truth: Sequence[Positions]
) -> tuple[list[float], list[float]]:
    """Return, for each query, the share of its `k` nearest that was found, and its milliseconds."""
    shares, milliseconds = [], []
    for query, true in zip(queries, truth, strict=True):
        started = time.thread_time()
        (proposed,) = proposer.propose(query[None, :], proposer.reranked(k, effort), effort)
        found = _ranked(query, nearest_of(query, k, vectors, proposed), vectors)[:k]
        milliseconds.append(_milliseconds_since(started))
        shares.append(len(np.intersect1d(found, true[:k])) / k)
    return shares, milliseconds


def _scan_times(vectors: Vectors, queries: Vectors, known: Mask) -> tuple[float, float]:
    """Return the milliseconds to compare all rows with one query, and per query with many queries."""
    times: dict[int, list[float]] = {1: [], _BATCH: []}
    for size, count in ((1, _SCANS), (_BATCH, 3)):
        for start in range(count):
            asked = np.roll(queries, start, axis=0)[:size]
            started = time.thread_time()
            for query, near in zip(asked, nearest(asked, KS[0], vectors, known), strict=True):
                _ranked(query, near, vectors)
            times[size].append(_milliseconds_since(started) / len(asked))
    alone = _typical(times[1])
    return alone, min(alone, _typical(times[_BATCH]))


def _ranked(query: Vectors, positions: Positions, vectors: Vectors) -> Positions:
    ranked: Positions = positions[np.argsort(distances(query, vectors[positions]), kind="stable")]
    return ranked


def _typical(milliseconds: Sequence[float]) -> float:
    return float(np.percentile(milliseconds, 25))


def _milliseconds_since(started: float) -> float:
    return 1_000 * (time.thread_time() - started)
