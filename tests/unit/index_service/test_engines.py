"""One suite that every engine passes; `exact` is the oracle."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index_service.engines.annoy import AnnoyEngine
from index_service.engines.contract import Engine, Searcher
from index_service.engines.exact import ExactEngine
from index_service.errors import BuildFailed
from index_service.vectors import distances, unit
from tests.unit.index_service.engines_in_process import InProcessAnnoyEngine

# More than twice what a search for 10 looks at, so that forests are really used.
ROWS = 20_000
DIMENSION = 32


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    """Clusters, as real vectors have them; module-wide because engines only read them."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(200, DIMENSION))
    rows = centres[generator.integers(0, len(centres), ROWS)] + 0.6 * generator.normal(size=(ROWS, DIMENSION))
    return unit(rows.astype(np.float32))


# Module-wide: a forest takes a second to build and never changes.
@pytest.fixture(scope="module", params=[ExactEngine, lambda: InProcessAnnoyEngine(trees=50)], ids=["exact", "annoy"])
def searcher(
    request: pytest.FixtureRequest, vectors: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> Searcher:
    return built(request.param(), vectors, tmp_path_factory.mktemp("segment"))


def built(engine: Engine, vectors: NDArray[np.float32], folder: Path) -> Searcher:
    np.save(folder / "vectors.npy", vectors)
    for name in engine.build(folder / "vectors.npy", folder, lambda _: None):
        assert (folder / name).is_file()
    return engine.open(vectors, folder)


def recall(
    searcher: Searcher, vectors: NDArray[np.float32], counting: NDArray[np.bool_], k: int, queries: int = 50
) -> float:
    noise = 0.05 * np.random.default_rng(1).normal(size=(queries, DIMENSION)).astype(np.float32)
    asked = unit(vectors[:queries] + noise)
    shares = []
    for query, found in zip(asked, searcher.nearest(asked, k, counting), strict=True):
        assert counting[found].all()
        assert len(found) >= min(k, np.count_nonzero(counting))
        true = np.argsort(np.where(counting, distances(query, vectors), np.inf))[:k]
        nearest = found[np.argsort(distances(query, vectors[found]))][:k]
        shares.append(len(np.intersect1d(true, nearest)) / len(true))
    return float(np.mean(shares))


@pytest.mark.parametrize("k", [1, 10, 100, 3_000])
def test_finds_the_nearest(searcher: Searcher, vectors: NDArray[np.float32], k: int) -> None:
    counting = np.ones(ROWS, dtype=np.bool_)
    share = recall(searcher, vectors, counting, k)
    assert share == 1.0 if searcher.compares_all(k, counting) else share >= 0.9


@pytest.mark.parametrize("alive", [0.8, 0.5, 0.02])
def test_finds_the_nearest_among_many_dead_rows(searcher: Searcher, vectors: NDArray[np.float32], alive: float) -> None:
    counting = np.random.default_rng(2).random(ROWS) < alive
    share = recall(searcher, vectors, counting, 10)
    assert share == 1.0 if searcher.compares_all(10, counting) else share >= 0.9


def test_is_never_short_where_only_far_rows_are_left(searcher: Searcher, vectors: NDArray[np.float32]) -> None:
    query = vectors[0]
    counting = np.zeros(ROWS, dtype=np.bool_)
    counting[np.argsort(distances(query, vectors))[-5:]] = True
    (found,) = searcher.nearest(query[None, :], 10, counting)
    assert sorted(found.tolist()) == np.flatnonzero(counting).tolist()


def test_nothing_counts_and_nothing_is_found(searcher: Searcher, vectors: NDArray[np.float32]) -> None:
    (found,) = searcher.nearest(vectors[:1], 10, np.zeros(ROWS, dtype=np.bool_))
    assert len(found) == 0


def test_the_forest_is_used_where_it_pays_and_not_where_a_scan_is_as_fast(
    vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    searcher = built(InProcessAnnoyEngine(trees=2), vectors, tmp_path)
    everything = np.ones(ROWS, dtype=np.bool_)
    assert not searcher.compares_all(10, everything)
    assert searcher.compares_all(1_000, everything)


def test_a_forest_that_proposes_only_dead_rows_falls_back_on_a_scan(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    dead = np.eye(1, 8) + 1e-4 * generator.normal(size=(12_000, 8))
    alive = -np.eye(1, 8) + 0.3 * generator.normal(size=(18_000, 8))
    rows = unit(np.concatenate([dead, alive]).astype(np.float32))
    counting = np.arange(len(rows)) >= len(dead)
    searcher = built(InProcessAnnoyEngine(trees=5), rows, tmp_path)
    assert not searcher.compares_all(10, counting)
    (found,) = searcher.nearest(rows[:1], 10, counting)
    assert len(found) >= 10
    assert counting[found].all()


def test_a_forest_is_built_in_a_process_of_its_own_and_tells_its_progress(tmp_path: Path) -> None:
    rows = unit(np.random.default_rng(3).normal(size=(2_500, 8)).astype(np.float32))
    np.save(tmp_path / "vectors.npy", rows)
    told: list[int] = []
    engine = AnnoyEngine(trees=3)
    engine.build(tmp_path / "vectors.npy", tmp_path, told.append)
    assert told == [1_000, 2_000, 2_500]
    (found,) = engine.open(rows, tmp_path).nearest(rows[:1], 1, np.ones(len(rows), dtype=np.bool_))
    assert 0 in found


def test_the_same_vectors_give_the_same_forest(tmp_path: Path) -> None:
    rows = unit(np.random.default_rng(3).normal(size=(500, 8)).astype(np.float32))
    forests = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        built(InProcessAnnoyEngine(trees=3), rows, folder)
        forests.append((folder / "forest.ann").read_bytes())
    assert forests[0] == forests[1]


def test_a_build_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "vectors.npy").write_bytes(b"no vectors")
    with pytest.raises(BuildFailed, match="status 1"):
        AnnoyEngine().build(tmp_path / "vectors.npy", tmp_path, lambda _: None)


def test_no_build_begins_once_stopped(tmp_path: Path) -> None:
    engine = AnnoyEngine()
    engine.stop()
    with pytest.raises(BuildFailed, match="stopping"):
        engine.build(tmp_path / "vectors.npy", tmp_path, lambda _: None)


def test_stopping_ends_a_build_that_is_under_way(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.ones((2_000, 8), dtype=np.float32))
    engine = AnnoyEngine(trees=1_000_000)  # would take hours

    def stop_when_filled(rows: int) -> None:
        if rows == 2_000:
            engine.stop()

    with pytest.raises(BuildFailed, match="status -9"):
        engine.build(tmp_path / "vectors.npy", tmp_path, stop_when_filled)


def test_a_build_ends_with_the_process_that_wanted_it(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.ones((1_000, 8), dtype=np.float32))
    module = [sys.executable, "-m", "index_service.engines.annoy_build"]
    arguments = [str(tmp_path / "vectors.npy"), str(tmp_path / "forest.ann"), "1000000", "1"]  # would take hours
    with subprocess.Popen([*module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as build:
        assert build.stdin is not None
        assert build.stdout is not None
        assert build.stdout.readline() == b"1000\n"
        build.stdin.close()  # as the system does for a parent that is killed
        assert build.wait(30) == 1
