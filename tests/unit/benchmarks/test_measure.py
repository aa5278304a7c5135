"""Tuning and measuring competitors."""

import itertools

import numpy as np

from benchmarks.index.contenders.contract import grid
from benchmarks.index.measure import Competitor, effort_for, race
from benchmarks.index.truth import Positions, nearest_of_all, recall
from benchmarks.index.vectors import Corpus, K


class FindsAsManyAsItsEffort:
    """Finds the nearest `effort` rows, then the farthest ones."""

    def __init__(self, corpus: Corpus) -> None:
        self.rows = corpus.rows
        self.effort = 0

    def set_effort(self, effort: int) -> None:
        self.effort = effort

    def nearest(self, query: np.ndarray, k: int) -> Positions:
        order = np.argsort(-(self.rows @ query))
        return np.concatenate([order[: self.effort], order[::-1]])[:k]


def test_the_least_effort_that_reaches_the_recall_is_chosen(corpus: Corpus) -> None:
    searcher = FindsAsManyAsItsEffort(corpus)
    for target, least in ((0.25, 3), (0.6, 6), (1.0, 10)):
        assert effort_for(searcher, range(1, 20), corpus.tuning, corpus.rows, target) == least


def test_if_no_effort_reaches_the_recall_the_last_is_chosen(corpus: Corpus) -> None:
    assert effort_for(FindsAsManyAsItsEffort(corpus), range(1, 5), corpus.tuning, corpus.rows, 0.9) == 4


def test_efforts_rise_to_the_last() -> None:
    efforts = grid(10, 500)
    assert efforts[0] == 10
    assert efforts[-1] >= 500
    assert all(one < other for one, other in itertools.pairwise(efforts))


def test_all_answer_every_query_in_order(corpus: Corpus) -> None:
    queries = corpus.measuring.vectors

    def exact(query: np.ndarray) -> Positions:
        return nearest_of_all(query[None, :], corpus.rows, K)[0][0]

    prepared: list[str] = []
    competitors = [
        Competitor(name, search, lambda name=name: prepared.append(name))
        for name, search in (("exact", exact), ("blind", lambda _: np.empty(0, dtype=np.intp)))
    ]
    raced = race(competitors, queries, seconds=0, report=lambda _: None)
    assert set(prepared) == {"exact", "blind"}
    assert recall(raced["exact"].found, corpus.measuring, corpus.rows) == 1
    assert recall(raced["blind"].found, corpus.measuring, corpus.rows) == 0
    assert [len(each.milliseconds) for each in raced.values()] == [len(queries)] * 2
