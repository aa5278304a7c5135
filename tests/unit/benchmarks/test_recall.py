"""The vectors and the output of `make bench-recall`."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks.index.distributions import Distribution, write_rows
from benchmarks.index.recall import main


@pytest.mark.parametrize("kind", Distribution)
def test_a_smaller_size_is_the_beginning_and_no_query_is_a_row(kind: Distribution, words: Path, tmp_path: Path) -> None:
    queries = write_rows(tmp_path / "larger.npy", kind, words, 90, 20)
    again = write_rows(tmp_path / "smaller.npy", kind, words, 40, 20)
    rows = np.load(tmp_path / "larger.npy")
    assert np.array_equal(np.load(tmp_path / "smaller.npy"), rows[:40])
    assert np.array_equal(queries, again)
    assert len(np.unique(np.concatenate([rows, queries]), axis=0)) == 110
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_recall_is_written_beside_speed(words: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(main)
    out = tmp_path / "out.json"
    options = ["--sizes=300", "--distributions=words,clusters", "--queries=10", f"--words={words}"]
    result = CliRunner().invoke(
        app, [*options, f"--cache={tmp_path / 'cache'}", f"--out={out}"], catch_exceptions=False
    )
    assert result.exit_code == 0
    reached = json.loads(out.read_text())["reached"]
    assert [(each["distribution"], each["rows"]) for each in reached] == [("words", 110), ("clusters", 300)]
    for each in reached:
        assert (each["recall"], each["verdict"]) == (1.0, "reached")  # so few rows are all compared
        assert each["p50_ms"] > 0
