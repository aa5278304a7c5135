"""The table, the JSON and the bars describe the same run."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.index.bars import bars
from benchmarks.index.echo_server import DECODING
from benchmarks.index.results import EngineFigures, Row, Size, in_process, over_grpc
from benchmarks.index.table import COLUMNS, bars_table, contenders_table, write_json


def row(name: str, p50: float, recall: float | None = 0.95) -> Row:
    return Row(name, "", 1_000, recall, p50, 2 * p50, 1_000 / p50, build_s=1.5, disk_mb=12.0)


ROWS = (
    row("Annoy, recall as the annoy engine", 3.0),
    row("numpy, exact", 14.0, 1.0),
    row("usearch, recall as the hnsw engine", 0.5),
    row(DECODING, 1.0, None),
    row(in_process("annoy"), 2.0),
    row(over_grpc("annoy"), 3.1),
    row(in_process("hnsw"), 0.75),
    row(over_grpc("hnsw"), 2.75),
)
FIGURES = EngineFigures("annoy", 6_000.0, 2.5, 1.5, 3.5, 500.0, 4.0, 6.0, 30.0)
SIZE = Size(200_000, ROWS, (FIGURES, EngineFigures("hnsw", 4_000.0, 2.0, 1.5)))


def verdicts(size: Size) -> dict[str, tuple[float, str]]:
    return {bar.promise: (pytest.approx(bar.figure), bar.verdict) for bar in bars([size], 0.95)}


def test_the_table_has_the_figures_of_the_json_the_fastest_first(tmp_path: Path) -> None:
    file = tmp_path / "results" / "index.json"
    write_json(file, [SIZE], bars([SIZE], 0.95), ["faiss was left out"], {"seconds": 3})
    written = json.loads(file.read_text())
    (size,) = written["sizes"]
    assert size["rows"] == 200_000
    shown = list(zip(*(column.cells for column in contenders_table(SIZE).columns), strict=True))
    by_speed = sorted(size["contenders"], key=lambda each: each["p50_ms"])
    assert shown == [
        tuple("" if each[key] is None else form.format(each[key]) for key, _, form in COLUMNS) for each in by_speed
    ]
    assert written["run"] == {"seconds": 3}
    assert written["missing"] == ["faiss was left out"]
    table = bars_table(bars([SIZE], 0.95))
    assert list(table.columns[1].cells) == [bar["promise"] for bar in written["bars"]]
    assert list(table.columns[-1].cells) == [bar["verdict"] for bar in written["bars"]]
    assert asdict(SIZE.engines[0]) == size["engines"][0]


def test_bars_are_met_or_missed() -> None:
    assert verdicts(SIZE) == {
        "annoy engine: times faster than bare Annoy at its recall, ≥ 0.95": (1.5, "met"),
        "annoy engine: p50 to that of exact numpy": (2 / 14, "met"),
        "annoy engine: p50 that gRPC adds to that of the echo": (1.1, "met"),
        "annoy engine: durable inserts a second": (6_000, "met"),
        "annoy engine: p99 during a merge of all rows to p99 without": (1.5, "met"),
        "annoy engine: disk of the segments to raw vectors": (1.5, "met"),
        "annoy engine: disk of store and segments to raw vectors": (2.5, "missed"),
        "annoy engine: seconds from start to first answer": (3.5, "not judged here"),
        "annoy engine: own memory then, MB": (500, "not judged here"),
        "hnsw engine: p50 in process to that of bare usearch at its recall": (1.5, "missed"),
        "hnsw engine: p50 that gRPC adds to that of the echo": (2, "missed"),
        "hnsw engine: durable inserts a second": (4_000, "missed"),
        "hnsw engine: disk of the segments to raw vectors": (1.5, "met"),
        "hnsw engine: disk of store and segments to raw vectors": (2, "met"),
    }


def test_a_bar_is_judged_at_the_size_it_is_promised_for() -> None:
    million = verdicts(replace(SIZE, rows=1_000_000))
    assert million["annoy engine: seconds from start to first answer"][1] == "missed"
    assert million["annoy engine: own memory then, MB"][1] == "met"
    assert million["annoy engine: times faster than bare Annoy at its recall, ≥ 0.95"][1] == "not judged here"


def test_speed_is_not_judged_if_the_recall_was_missed() -> None:
    low = replace(SIZE, contenders=(*ROWS[:4], row(in_process("annoy"), 0.1, recall=0.9)))
    assert verdicts(low)["annoy engine: times faster than bare Annoy at its recall, ≥ 0.95"] == (30, "not judged here")
    assert verdicts(low)["annoy engine: p50 to that of exact numpy"][1] == "not judged here"


def test_a_contender_that_did_not_take_part_has_no_bar() -> None:
    alone = replace(SIZE, contenders=(), engines=(EngineFigures("annoy", 6_000.0, 2.0, 1.5),))
    assert set(verdicts(alone)) == {
        "annoy engine: durable inserts a second",
        "annoy engine: disk of the segments to raw vectors",
        "annoy engine: disk of store and segments to raw vectors",
    }
