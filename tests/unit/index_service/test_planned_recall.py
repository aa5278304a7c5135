"""A plan reaches its target and reports the recall of other queries for every distribution of vectors."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.index.distributions import Distribution, write_rows
from benchmarks.index.recall import found_shares
from index_service.engines import tuning
from tests.unit.index_service.engines_in_process import annoy_in_process

WORDS = Path(__file__).parents[3] / "starter" / "bundle" / "words.npy"
ROWS = 20_000
QUERIES = 400
TARGET = 0.95


@pytest.mark.parametrize("kind", Distribution)
def test_a_forest_reaches_its_target(kind: Distribution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without it, so few rows would often all be compared.
    monkeypatch.setattr(tuning, "_scan_times", lambda *_: (1e9, 1e9))
    queries = write_rows(tmp_path / "rows.npy", kind, WORDS, ROWS, QUERIES)
    rows = np.load(tmp_path / "rows.npy")
    engine = annoy_in_process(TARGET, trees=10)
    engine.build(tmp_path / "rows.npy", tmp_path, lambda _: None)
    searcher = engine.open(rows, tmp_path)
    tuned = searcher.tuned()

    shares, _ = found_shares(searcher, rows, queries, TARGET)

    assert shares.mean() >= TARGET
    assert tuned.recall >= TARGET
    if tuned.effort is None:  # no effort reaches the target
        assert shares.mean() == tuned.recall == 1.0
    else:
        error = shares.std() * np.sqrt(1 / len(shares) + 1 / tuned.queries)
        assert abs(tuned.recall - shares.mean()) <= 3 * error
