"""Plans: the effort for a recall, derived from measurements."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_service.engines import tuning
from index_service.engines.planning import PLAN_FILE, Plan, Point, UnusablePlan
from index_service.engines.tuning import held_out_rows, make_plan
from index_service.vectors import Positions, Vectors, distances, unit

SCAN = 10.0
MEASURED = Plan(
    components=96,
    target=0.95,
    points=(
        Point(100, (0.5, 0.4), (0.1, 0.2)),
        Point(1_000, (0.9, 0.8), (1.0, 1.1)),
        Point(10_000, (0.99, 0.95), (5.0, 6.0)),
    ),
    scan_milliseconds=SCAN,
    batch_scan_milliseconds=1.0,
    held_out=(3, 5),
    recall=0.96,
    queries=128,
)


def test_an_effort_lies_between_the_points_around_the_target() -> None:
    effort = MEASURED.effort(10, 0.9)
    assert effort is not None
    assert 1_000 < effort < 10_000


@given(st.floats(0.05, 0.98), st.floats(0.0, 0.02), st.integers(1, 1_000))
def test_more_recall_or_more_neighbours_never_cost_less_effort(recall: float, more: float, k: int) -> None:
    least = MEASURED.effort(k, recall) or math.inf
    assert (MEASURED.effort(k, min(1.0, recall + more)) or math.inf) >= least
    assert (MEASURED.effort(k + 10, recall) or math.inf) >= least


def test_a_recall_above_all_measured_ones_compares_all_rows() -> None:
    assert MEASURED.effort(10, 0.999) is None
    assert MEASURED.effort(10, 1.0) is None


def test_for_many_queries_at_once_a_scan_is_cheaper() -> None:
    assert MEASURED.effort(10, 0.95, queries=1) is not None
    assert MEASURED.effort(10, 0.95, queries=100) is None


def test_all_rows_are_compared_if_a_scan_is_as_fast() -> None:
    assert MEASURED.effort(100, 0.8) is not None
    assert MEASURED.effort(2_000, 0.8) is None


def test_without_measurements_all_rows_are_compared() -> None:
    plan = Plan(8, 0.95)
    assert plan.effort(10, 0.1) is None
    assert plan.tuned().recall == 1.0


def test_a_plan_reports_its_figures_for_the_target() -> None:
    tuned = MEASURED.tuned()
    assert tuned.effort == MEASURED.effort(10, 0.95)
    assert (tuned.recall, tuned.queries, tuned.components, tuned.scan_milliseconds) == (0.96, 128, 96, SCAN)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    MEASURED.write(tmp_path)
    assert Plan.read(tmp_path) == MEASURED


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format_version": 99}', '{"format_version": 1}'])
def test_a_plan_of_another_version_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / PLAN_FILE).write_text(content)
    with pytest.raises(UnusablePlan, match=PLAN_FILE):
        Plan.read(tmp_path)


class Half:
    """Proposes the nearest of the first `effort` rows; its recall is the share of rows that it visits."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self.seen: list[Vectors] = []

    def reranked(self, k: int, effort: int) -> int:
        return k

    def propose(self, queries: Vectors, limit: int, effort: int) -> list[Positions]:
        self.seen.append(queries)
        seen = np.setdiff1d(np.arange(min(effort, len(self.vectors))), held_out_rows(len(self.vectors)))
        return [seen[np.argsort(distances(query, self.vectors[seen]))][:limit] for query in queries]


@pytest.mark.parametrize("effort", [500, 1_000, 2_000])
def test_measured_recall_is_the_known_recall_of_an_engine(effort: int) -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(4_000, 16)).astype(np.float32))
    plan = make_plan(vectors, held_out_rows(len(vectors)), Half(vectors), effort, 16, 0.5)
    assert plan.points[0].recalls == pytest.approx((effort / 4_000, effort / 4_000), abs=0.06)


def test_no_measuring_query_is_a_row_that_the_engine_has() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(2_000, 16)).astype(np.float32))
    held_out = held_out_rows(len(vectors))
    engine = Half(vectors)
    make_plan(vectors, held_out, engine, 250, 16, 0.5)
    known = np.delete(vectors, held_out, axis=0)
    for query in np.unique(np.concatenate(engine.seen), axis=0):
        assert distances(query, known).min() > 0


class Flattering:
    """Uses its full effort for the first queries, and only a share of it for others."""

    def __init__(self, vectors: Vectors, share: float) -> None:
        self.vectors = vectors
        self.share = share
        self.first_effort = 0
        self.favoured: set[bytes] = set()

    def reranked(self, k: int, effort: int) -> int:
        return k

    def propose(self, queries: Vectors, limit: int, effort: int) -> list[Positions]:
        self.first_effort = self.first_effort or effort
        if effort == self.first_effort:
            self.favoured.add(queries.tobytes())
        looked_at = effort if queries.tobytes() in self.favoured else int(self.share * effort)
        return Half(self.vectors).propose(queries, limit, looked_at)


@pytest.fixture
def slow_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make comparing all rows so slow that no effort is too expensive."""
    monkeypatch.setattr(tuning, "_scan_times", lambda *_: (1e9, 1e9))


@pytest.mark.usefixtures("slow_scans")
def test_queries_that_did_not_choose_the_effort_reach_the_target() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(2_000, 16)).astype(np.float32))
    target = 0.6
    plan = make_plan(vectors, held_out_rows(len(vectors)), Flattering(vectors, 0.8), 450, 16, target)
    tuned = plan.tuned()
    assert tuned.effort is not None
    assert tuned.recall >= target
    assert tuned.recall == pytest.approx(0.8 * tuned.effort / 2_000, abs=0.06)


@pytest.mark.usefixtures("slow_scans")
def test_all_rows_are_compared_if_other_queries_miss_the_target() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(2_000, 16)).astype(np.float32))
    plan = make_plan(vectors, held_out_rows(len(vectors)), Flattering(vectors, 0.01), 450, 16, 0.6)
    assert plan.tuned().effort is None
    assert plan.tuned().recall == 1.0
