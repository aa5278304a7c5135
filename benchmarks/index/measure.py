"""Measures recall and speed together: the effort that a contender needs, and how fast all are when they take turns.

Competitors take turns block by block, in a different order in each block, so that other load on the machine affects
each equally. The first search of a turn is not timed, because the caches are still another competitor's.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.index.contenders.contract import Searcher
from benchmarks.index.truth import Positions, Questions, recall
from benchmarks.load import Latencies

_BLOCK = 25


@dataclass(frozen=True)
class Competitor:
    """A competitor: `search` answers a query (dimension,) with positions; `prepare` is called before each turn."""

    name: str
    search: Callable[[NDArray[np.float32]], Positions]
    prepare: Callable[[], None] = lambda: None


@dataclass
class Timed:
    """The time of each search, and the result of each query's first search, in the order of the queries."""

    milliseconds: list[float] = field(default_factory=list)
    found: list[Positions] = field(default_factory=list)

    @property
    def latencies(self) -> Latencies:
        """The latencies of the searches, without the time between them."""
        return Latencies(tuple(self.milliseconds), sum(self.milliseconds) / 1000)


def effort_for(
    searcher: Searcher, efforts: Sequence[int], questions: Questions, rows: NDArray[np.float32], target: float
) -> int:
    """Return the least of ascending efforts that reaches a recall on the questions, or the last if none does."""
    k = questions.cosines.shape[1]

    def reaches(effort: int) -> bool:
        searcher.set_effort(effort)
        return recall([searcher.nearest(query, k) for query in questions.vectors], questions, rows) >= target

    return efforts[min(bisect_left(efforts, True, key=reaches), len(efforts) - 1)]


def race(
    competitors: Sequence[Competitor],
    queries: NDArray[np.float32],
    seconds: float,
    report: Callable[[str], None],
    seed: int = 0,
) -> dict[str, Timed]:
    """Let all competitors search all queries (m, dimension) in turns, until each has had `seconds` on average."""
    raced = {competitor.name: Timed() for competitor in competitors}
    order = list(competitors)
    shuffled = random.Random(seed)
    began = perf_counter()
    first_pass = True
    while first_pass or perf_counter() - began < seconds * len(competitors):
        for start in range(0, len(queries), _BLOCK):
            block = queries[start : start + _BLOCK]
            shuffled.shuffle(order)
            for competitor in order:
                competitor.prepare()
                competitor.search(queries[start - 1])
                mine = raced[competitor.name]
                for query in block:
                    sent = perf_counter()
                    found = competitor.search(query)
                    mine.milliseconds.append(1000 * (perf_counter() - sent))
                    if first_pass:
                        mine.found.append(found)
            report(f"measuring, {perf_counter() - began:.0f} s of {seconds * len(competitors):.0f} s")
            if not first_pass and perf_counter() - began >= seconds * len(competitors):
                break
        first_pass = False
    return raced
