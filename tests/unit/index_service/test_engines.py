"""One suite for every engine; `exact` is the oracle."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index_service.engines.annoy import AnnoyEngine
from index_service.engines.contract import Engine, Searcher
from index_service.engines.exact import ExactEngine
from index_service.engines.hnsw import HnswEngine
from index_service.engines.planning import PLAN_FILE, Plan, UnusablePlan
from index_service.engines.tuning import held_out_rows
from index_service.errors import BuildFailed, BuildStopped
from index_service.vectors import distances, unit
from tests.unit.index_service.engines_in_process import annoy_in_process, hnsw_in_process

ROWS = 8_000
DIMENSION = 32
TARGET = 0.95
ENGINES: dict[str, Callable[[], Engine]] = {
    "exact": ExactEngine,
    "annoy": lambda: annoy_in_process(TARGET, trees=30),
    "hnsw": lambda: hnsw_in_process(TARGET),
}
APPROXIMATE = pytest.mark.parametrize("engine", [AnnoyEngine, HnswEngine])


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    """Clusters, as real vectors have them; module-wide because engines only read them."""
    return clusters(ROWS, DIMENSION)


def clusters(rows: int, dimension: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(200, dimension))
    return unit(
        (centres[generator.integers(0, len(centres), rows)] + 0.6 * generator.normal(size=(rows, dimension))).astype(
            np.float32
        )
    )


# Module-wide: a segment takes seconds to build and never changes.
@pytest.fixture(scope="module", params=ENGINES)
def searcher(
    request: pytest.FixtureRequest, vectors: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> Searcher:
    return built(ENGINES[request.param](), vectors, tmp_path_factory.mktemp("segment"))


def built(engine: Engine, vectors: NDArray[np.float32], folder: Path) -> Searcher:
    """Build and open a segment; an approximate engine then never scans merely because a scan is as fast."""
    np.save(folder / "vectors.npy", vectors)
    for name in engine.build(folder / "vectors.npy", folder, lambda _: None):
        assert (folder / name).is_file()
    if (folder / PLAN_FILE).exists():
        replace(Plan.read(folder), scan_milliseconds=1e9, batch_scan_milliseconds=1e9).write(folder)
    return engine.open(vectors, folder)


def mean_recall(
    searcher: Searcher, vectors: NDArray[np.float32], eligible: NDArray[np.bool_], k: int, target: float = TARGET
) -> tuple[float, bool]:
    """Return the recall of 50 queries close to rows, and whether all rows were compared."""
    noise = 0.05 * np.random.default_rng(1).normal(size=(50, vectors.shape[1])).astype(np.float32)
    queries = unit(vectors[:50] + noise)
    shares = []
    answer = searcher.nearest(queries, k, eligible, target)
    for query, found in zip(queries, answer.positions, strict=True):
        assert eligible[found].all()
        assert len(found) >= min(k, np.count_nonzero(eligible))
        true = np.argsort(np.where(eligible, distances(query, vectors), np.inf))[: min(k, np.count_nonzero(eligible))]
        nearest = found[np.argsort(distances(query, vectors[found]))][:k]
        shares.append(len(np.intersect1d(true, nearest)) / len(true))
    return float(np.mean(shares)), answer.compared_all


@pytest.mark.parametrize("k", [1, 10, 100, 3_000])
def test_finds_the_nearest(searcher: Searcher, vectors: NDArray[np.float32], k: int) -> None:
    share, compared_all = mean_recall(searcher, vectors, np.ones(ROWS, dtype=np.bool_), k)
    assert share == 1.0 if compared_all else share >= 0.93


def test_a_recall_of_one_compares_all_rows(searcher: Searcher, vectors: NDArray[np.float32]) -> None:
    assert mean_recall(searcher, vectors, np.ones(ROWS, dtype=np.bool_), 10, 1.0) == (1.0, True)


@pytest.mark.parametrize("alive", [0.8, 0.5, 0.02])
def test_finds_the_nearest_among_many_dead_rows(searcher: Searcher, vectors: NDArray[np.float32], alive: float) -> None:
    eligible = np.random.default_rng(2).random(ROWS) < alive
    share, compared_all = mean_recall(searcher, vectors, eligible, 10)
    assert share == 1.0 if compared_all else share >= 0.93


def test_every_row_finds_itself_even_if_held_out_for_measuring(
    searcher: Searcher, vectors: NDArray[np.float32]
) -> None:
    answer = searcher.nearest(vectors, 1, np.ones(ROWS, dtype=np.bool_), 0.99)
    missed = [position for position, found in enumerate(answer.positions) if position not in found]
    assert len(missed) <= 0.01 * ROWS
    assert not set(missed) & set(held_out_rows(ROWS).tolist())


def test_is_never_short_if_only_far_rows_are_left(searcher: Searcher, vectors: NDArray[np.float32]) -> None:
    query = vectors[0]
    eligible = np.zeros(ROWS, dtype=np.bool_)
    eligible[np.argsort(distances(query, vectors))[-5:]] = True
    (found,) = searcher.nearest(query[None, :], 10, eligible, TARGET).positions
    assert sorted(found.tolist()) == np.flatnonzero(eligible).tolist()


def test_without_eligible_rows_nothing_is_found(searcher: Searcher, vectors: NDArray[np.float32]) -> None:
    (found,) = searcher.nearest(vectors[:1], 10, np.zeros(ROWS, dtype=np.bool_), TARGET).positions
    assert len(found) == 0


def test_a_forest_that_proposes_only_dead_rows_scans_instead(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    dead = np.eye(1, 8) + 1e-4 * generator.normal(size=(2_000, 8))
    alive = -np.eye(1, 8) + 0.3 * generator.normal(size=(18_000, 8))
    rows = unit(np.concatenate([dead, alive]).astype(np.float32))
    eligible = np.arange(len(rows)) >= len(dead)
    searcher = built(annoy_in_process(trees=30), rows, tmp_path)
    answer = searcher.nearest(rows[:1], 10, eligible, 0.5)
    assert not answer.compared_all
    assert len(answer.positions[0]) >= 10
    assert eligible[answer.positions[0]].all()


@APPROXIMATE
def test_a_segment_is_built_in_its_own_process_with_progress(
    tmp_path: Path, engine: type[AnnoyEngine | HnswEngine]
) -> None:
    rows = unit(np.random.default_rng(3).normal(size=(2_500, 8)).astype(np.float32))
    np.save(tmp_path / "vectors.npy", rows)
    progress: list[int] = []
    builder = engine(TARGET)
    builder.build(tmp_path / "vectors.npy", tmp_path, progress.append)
    assert progress == [1_000, 2_000, 2_500]
    everything = np.ones(len(rows), dtype=np.bool_)
    (found,) = builder.open(rows, tmp_path).nearest(rows[:1], 1, everything, TARGET).positions
    assert 0 in found


@pytest.mark.parametrize(("engine", "file"), [("annoy", "forest.ann"), ("hnsw", "graph.usearch")])
def test_the_same_vectors_give_the_same_file(tmp_path: Path, engine: str, file: str) -> None:
    rows = unit(np.random.default_rng(3).normal(size=(500, 8)).astype(np.float32))
    contents = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        built(ENGINES[engine](), rows, folder)
        contents.append((folder / file).read_bytes())
    assert contents[0] == contents[1]


def test_vectors_along_few_directions_get_a_forest_over_them(tmp_path: Path) -> None:
    rows = clusters(4_000, 200) * np.linspace(1, 0.02, 200, dtype=np.float32) ** 2
    rows = unit(rows)
    searcher = built(annoy_in_process(trees=30), rows, tmp_path)
    assert searcher.tuned().components in (64, 96, 128)
    share, compared_all = mean_recall(searcher, rows, np.ones(len(rows), dtype=np.bool_), 10)
    assert not compared_all
    assert share >= 0.93


def test_without_leading_directions_the_forest_has_full_vectors(tmp_path: Path) -> None:
    rows = unit(np.random.default_rng(6).normal(size=(3_000, 250)).astype(np.float32))
    assert built(annoy_in_process(trees=3), rows, tmp_path).tuned().components == 250


@APPROXIMATE
def test_files_of_an_older_version_are_not_searched(tmp_path: Path, engine: type[AnnoyEngine | HnswEngine]) -> None:
    rows = unit(np.random.default_rng(3).normal(size=(500, 8)).astype(np.float32))
    folder = tmp_path / "segment"
    folder.mkdir()
    built(ENGINES["annoy" if engine is AnnoyEngine else "hnsw"](), rows, folder)
    (folder / PLAN_FILE).unlink()
    with pytest.raises(UnusablePlan, match="older version"):
        engine(TARGET).open(rows, folder)


def test_a_build_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "vectors.npy").write_bytes(b"no vectors")
    with pytest.raises(BuildFailed, match="status 1"):
        AnnoyEngine(TARGET).build(tmp_path / "vectors.npy", tmp_path, lambda _: None)


def test_no_build_starts_after_a_stop(tmp_path: Path) -> None:
    engine = AnnoyEngine(TARGET)
    engine.stop()
    with pytest.raises(BuildFailed, match="stopping"):
        engine.build(tmp_path / "vectors.npy", tmp_path, lambda _: None)


def test_a_stop_ends_a_running_build(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.ones((2_000, 8), dtype=np.float32))
    engine = AnnoyEngine(TARGET, trees=1_000_000)  # would take hours

    def stop_when_filled(rows: int) -> None:
        if rows == 2_000:
            engine.stop()

    with pytest.raises(BuildStopped):
        engine.build(tmp_path / "vectors.npy", tmp_path, stop_when_filled)


def test_a_build_ends_with_its_parent_process(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.ones((1_000, 8), dtype=np.float32))
    module = [sys.executable, "-m", "index_service.engines.building", "annoy"]
    arguments = [str(tmp_path / "vectors.npy"), str(tmp_path), "0.95", "1000000", "1"]  # would take hours
    with subprocess.Popen([*module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as build:
        assert build.stdin is not None
        assert build.stdout is not None
        assert build.stdout.readline() == b"1000\n"
        build.stdin.close()  # as the system does if the parent is killed
        assert build.wait(30) == 1
