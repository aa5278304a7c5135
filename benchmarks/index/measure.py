"""Recall and speed, always together: how hard a contender must look, and how fast all are when they take turns.

Competitors race block by block, each block in another order, so that what else the machine does falls on each alike.
The first search of a turn is not counted: it finds the caches as somebody else left them.
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

__all__ = ["Competitor", "Raced", "effort_for", "race"]

_BLOCK = 25


@dataclass(frozen=True)
class Competitor:
    """Who races: `search` answers a query (dimension,) with positions, `prepare` is called before each turn."""

    name: str
    search: Callable[[NDArray[np.float32]], Positions]
    prepare: Callable[[], None] = lambda: None


@dataclass
class Raced:
    """How long each search took, and what the first search of each query found, in the queries' order."""

    milliseconds: list[float] = field(default_factory=list)
    found: list[Positions] = field(default_factory=list)

    @property
    def latencies(self) -> Latencies:
        """The searches, one after the other, without what lay between them."""
        return Latencies(tuple(self.milliseconds), sum(self.milliseconds) / 1000)


def effort_for(
    searcher: Searcher, efforts: Sequence[int], questions: Questions, rows: NDArray[np.float32], target: float
) -> int:
    """Return the least of rising efforts that reaches a recall on the questions, or the last where none does."""
    k = questions.cosines.shape[1]

    def reaches(effort: int) -> bool:
        searcher.set_effort(effort)
        return recall([searcher.nearest(query, k) for query in questions.vectors], questions, rows) >= target

    return efforts[min(bisect_left(efforts, True, key=reaches), len(efforts) - 1)]


def race(
    competitors: Sequence[Competitor],
    queries: NDArray[np.float32],
    seconds: float,
    tell: Callable[[str], None],
    seed: int = 0,
) -> dict[str, Raced]:
    """Let all contenders search all queries (m, dimension) in turn, until each had that many seconds on average."""
    raced = {competitor.name: Raced() for competitor in competitors}
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
            tell(f"racing, {perf_counter() - began:.0f} s of {seconds * len(competitors):.0f} s")
            if not first_pass and perf_counter() - began >= seconds * len(competitors):
                break
        first_pass = False
    return raced
