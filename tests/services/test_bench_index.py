"""A small but complete run of `make bench-index`: the real service, the echo, and all other contenders."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from benchmarks.index.__main__ import main
from benchmarks.index.contenders.registry import PACKAGES
from tests.needs import need_others_indexes

pytestmark = pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    file = tmp_path / "words.npy"
    np.save(file, np.random.default_rng(0).normal(size=(150, 16)).astype(np.float16))
    return file


def run(words: Path, *options: str) -> Result:
    app = typer.Typer()
    app.command()(main)
    folder = words.parent
    own = [f"--words={words}", f"--cache={folder / 'cache'}", f"--out={folder / 'out.json'}", "--queries=10"]
    return CliRunner().invoke(app, [*own, "--seconds=0", *options], catch_exceptions=False)


def test_all_contenders_run_and_a_second_run_builds_nothing(words: Path) -> None:
    need_others_indexes()
    assert run(words, "--sizes=200", "--engines=annoy").exit_code == 0
    written = json.loads((words.parent / "out.json").read_text())
    (size,) = written["sizes"]
    recalls = {row["contender"]: row["recall"] for row in size["contenders"]}
    assert set(recalls) == {
        "numpy, exact", "Annoy, default", "Annoy, recall ≥ 0.95", "hnswlib, recall ≥ 0.95", "usearch, recall ≥ 0.95",
        "Annoy, recall as the annoy engine",
        "faiss HNSW, recall ≥ 0.95", "annoy engine, in process", "annoy engine, gRPC", "bare gRPC echo",
        "bare gRPC echo, decoding",
    }  # fmt: skip
    assert recalls["numpy, exact"] == 1
    assert recalls["annoy engine, in process"] == recalls["annoy engine, gRPC"] == 1  # so few rows are scanned
    assert recalls["bare gRPC echo"] is recalls["bare gRPC echo, decoding"] is None
    (engine,) = size["engines"]
    assert None not in (engine["restart_s"], engine["p99_without_ms"], engine["p99_during_ms"])
    assert set(written["run"]["packages"]) == set(PACKAGES.values())

    def made() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in (words.parent / "cache").rglob("built.json")}

    before = made()
    assert run(words, "--sizes=200", "--engines=annoy", "--only=annoy,faiss,planner").exit_code == 0
    assert made() == before
    assert not [path for path in (words.parent / "cache").rglob("*") if path.suffix in {".partial", ".clone"}]


def test_only_some_take_part(words: Path) -> None:
    run(words, "--sizes=200", "--only=numpy,annoy")
    written = json.loads((words.parent / "out.json").read_text())
    contenders = [row["contender"] for row in written["sizes"][0]["contenders"]]
    assert sorted(contenders) == ["Annoy, default", "Annoy, recall ≥ 0.95", "numpy, exact"]
    assert written["bars"] == []


@pytest.mark.parametrize(
    ("option", "complaint"),
    [("--sizes=many", "many"), ("--sizes=0", "at least"), ("--engines=fast", "annoy, exact"), ("--only=me", "planner")],
)
def test_a_bad_option_is_named(words: Path, option: str, complaint: str) -> None:
    result = run(words, option)
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.split())
