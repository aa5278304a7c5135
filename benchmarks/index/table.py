"""The tables and the JSON, which show the same rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.index.bars import SizedBar
from benchmarks.index.results import Size

# Field of a row, heading, and format.
COLUMNS = (
    ("contender", "contender", "{}"),
    ("effort", "effort", "{:,}"),
    ("recall", "recall@10", "{:.3f}"),
    ("p50_ms", "p50 ms", "{:.3f}"),
    ("p99_ms", "p99 ms", "{:.3f}"),
    ("queries_per_s", "queries/s", "{:,.0f}"),
    ("build_s", "build s", "{:,.1f}"),
    ("own_mb", "own MB", "{:,.0f}"),
    ("mapped_mb", "mapped MB", "{:,.0f}"),
    ("disk_mb", "disk MB", "{:,.0f}"),
    ("inserts_per_s", "inserts/s", "{:,.0f}"),
)
_CAPTION = (
    "effort: search_k, ef, expansion_search or efSearch. build s: with all cores; for an engine: OptimizeIndex alone, "
    "after the inserts. own and mapped MB: RssAnon and RssFile; for this process, the increase by opening and tuning."
)


def contenders_table(size: Size) -> Table:
    """Return the table of the contenders at one size, fastest first."""
    table = Table(title=f"{size.rows:,} vectors", title_justify="left", caption=_CAPTION, caption_justify="left")
    for number, (_, heading, _) in enumerate(COLUMNS):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in sorted(size.contenders, key=lambda row: row.p50_ms):
        fields: Mapping[str, Any] = asdict(row)
        table.add_row(*("" if fields[key] is None else format_.format(fields[key]) for key, _, format_ in COLUMNS))
    return table


def bars_table(bars: Sequence[SizedBar]) -> Table:
    """Return the table of the performance targets and their figures."""
    table = Table("vectors", "bar", "figure", "bound", "", title="Bars", title_justify="left")
    for bar in bars:
        table.add_row(f"{bar.rows:,}", *bar.cells)
    return table


def write_json(
    file: Path, sizes: Sequence[Size], bars: Sequence[SizedBar], missing: Sequence[str], run: Mapping[str, object]
) -> None:
    """Write the figures of a run; `run` describes its settings and machine."""
    figures = {
        "run": run,
        "sizes": [asdict(size) for size in sizes],
        "bars": [{**asdict(bar), "verdict": bar.verdict} for bar in bars],
        "missing": list(missing),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=2) + "\n")
