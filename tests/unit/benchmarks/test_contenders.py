"""Every contender searches the index that it built."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.index.built import build, cached
from benchmarks.index.contenders import registry
from benchmarks.index.contenders.registry import PACKAGES, load
from benchmarks.index.truth import recall
from benchmarks.index.vectors import Corpus, K
from tests.needs import need_others_indexes

# Raised on import by old bindings of faiss.
pytestmark = pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_contender_with_great_effort_finds_all(name: str, corpus: Corpus, tmp_path: Path) -> None:
    if name in ("faiss", "hnswlib"):
        need_others_indexes()
    (contender,), missing = load([name])
    assert not missing
    contender.build(corpus.rows_file, tmp_path)
    searcher = contender.open(corpus.rows_file, tmp_path)
    if contender.efforts:
        searcher.set_effort(contender.efforts[-1])
    found = [searcher.nearest(query, K) for query in corpus.measuring.vectors]
    # Bare graphs are built on several threads, whose order decides which rows they lose.
    least = 0.9 if name in ("faiss", "hnswlib", "usearch") else 0.98
    assert recall(found, corpus.measuring, corpus.rows) > least


def test_a_built_contender_is_reused(corpus: Corpus) -> None:
    (annoy,), _ = load(["annoy"])
    first = build(annoy, corpus.rows_file)
    (first.folder / "mark").touch()
    again = build(annoy, corpus.rows_file)
    assert again == first
    assert (again.folder / "mark").exists()
    assert first.figures["disk_bytes"] > 0


def test_builds_with_other_parameters_are_removed(tmp_path: Path) -> None:
    def folders(*parameters: str) -> list[str]:
        for each in parameters:
            cached(tmp_path, "hnsw engine", each, lambda _: {})
        return sorted(path.name for path in tmp_path.iterdir())

    cached(tmp_path, "hnsw", "one", lambda _: {})
    (engine, other) = folders("one")
    assert folders("two") != [engine, other]
    assert folders("two", "one") == [engine, other]


def test_a_contender_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def importing(module: str) -> object:
        raise ModuleNotFoundError(f"No module named '{module}'", name="faiss")

    monkeypatch.setattr(registry, "import_module", importing)
    contenders, missing = load(["faiss"])
    assert contenders == []
    assert missing == ["faiss was left out, because its package faiss-cpu is missing. Run `make bench-setup`."]


def test_numpy_finds_the_nearest_in_order(corpus: Corpus, tmp_path: Path) -> None:
    (contender,), _ = load(["numpy"])
    contender.build(corpus.rows_file, tmp_path)
    searcher = contender.open(corpus.rows_file, tmp_path)
    found = [searcher.nearest(query, K) for query in corpus.measuring.vectors]
    assert np.array_equal(found, corpus.measuring.positions)
