from pathlib import Path

import numpy as np
import pytest

from benchmarks.index.vectors import Corpus, Recipe, make

DIMENSION = 16


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("words") / "words.npy"
    np.save(file, np.random.default_rng(0).normal(size=(120, DIMENSION)).astype(np.float16))
    return file


@pytest.fixture(scope="module")
def corpus(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """300 rows, of which 100 are words; 20 queries in each half."""
    return make(Recipe(words, count=300, queries=20), tmp_path_factory.mktemp("cache"))
