"""Draw the panels of the dashboard from a running Prometheus, with matplotlib, where there is no Grafana.

    python scripts/draw_dashboard.py --prometheus http://127.0.0.1:9090 --minutes 15 --out dashboard.webp

Each panel shows what its own queries return; the layout is that of `dashboard.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

_DASHBOARD = Path(__file__).parents[1] / "deploy" / "monitoring" / "dashboard.json"
_POINTS = 240
_COLUMNS = 24
# Inches of a unit of the layout.
_WIDTH, _HEIGHT = 0.7, 0.33
_MOST_NAMES = 8
_RATE_INTERVAL = "30s"


@dataclass(frozen=True)
class Series:
    """A line of a panel."""

    name: str
    times: Sequence[datetime]
    values: Sequence[float]

    @classmethod
    def of(cls, found: dict[str, Any], name: str) -> Series:
        """Take a series as Prometheus returns it; the labels in double braces are part of its name."""
        for label, value in found["metric"].items():
            name = name.replace(f"{{{{{label}}}}}", value)
        times = [datetime.fromtimestamp(at, UTC) for at, _ in found["values"]]
        return cls(name, times, [float(value) for _, value in found["values"]])

    @property
    def has_values(self) -> bool:
        """Whether there is anything to draw; a share of nothing is not a number."""
        return not all(map(math.isnan, self.values))


def main() -> None:
    """Draw the last minutes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="its address (%(default)s)")
    parser.add_argument("--minutes", type=float, default=15, help="how much to show (%(default)s)")
    parser.add_argument("--end", type=float, default=time.time(), help="seconds since 1970; now if not given")
    parser.add_argument("--out", type=Path, required=True, help="the picture; its suffix is its format")
    arguments = parser.parse_args()
    start = arguments.end - 60 * arguments.minutes
    panels = json.loads(_DASHBOARD.read_text(encoding="utf-8"))["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    mpl.rcParams |= {"font.size": 7, "axes.titlesize": 8, "axes.spines.top": False, "axes.spines.right": False}
    figure = Figure((_COLUMNS * _WIDTH, rows * _HEIGHT), dpi=100)
    for panel in panels:
        place = panel["gridPos"]
        left, top = place["x"] / _COLUMNS, 1 - place["y"] / rows
        if panel["type"] == "row":
            figure.text(left + 0.005, top - 0.8 / rows, panel["title"], weight="bold", fontsize=10)
            continue
        box = (
            left + 0.03,
            top - (place["h"] - 1.6) / rows,
            place["w"] / _COLUMNS - 0.045,
            (place["h"] - 3) / rows,
        )
        axes = figure.add_axes(box)
        axes.set_title(panel["title"], loc="left")
        for target in panel["targets"]:
            for series in query(arguments.prometheus, target, start, arguments.end):
                if series.has_values:
                    axes.plot(date2num(series.times), series.values, label=series.name, linewidth=1)
        axes.set_xlim(*(date2num(datetime.fromtimestamp(at, UTC)) for at in (start, arguments.end)))
        decorate(axes, panel["fieldConfig"]["defaults"])
    figure.savefig(arguments.out)


def query(address: str, target: dict[str, Any], start: float, end: float) -> list[Series]:
    """Return what a target's query finds."""
    expression = target["expr"].replace("$__rate_interval", _RATE_INTERVAL).replace("$instance", ".*")
    parameters = {"query": expression, "start": start, "end": end, "step": (end - start) / _POINTS}
    url = f"{address}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url) as response:  # noqa: S310 — the address is the caller's
        found = json.load(response)["data"]["result"]
    return [Series.of(each, target["legendFormat"]) for each in found]


def decorate(axes: Axes, defaults: dict[str, Any]) -> None:
    """Give a panel its unit, its limits and a legend."""
    axes.set_ylim(bottom=0, top=defaults.get("max"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text_of(value, defaults["unit"])))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    axes.grid(alpha=0.25)
    lines, names = axes.get_legend_handles_labels()
    if lines:
        short = [name.rpartition(".")[2] if name.startswith("semsearch.") else name for name in names]
        axes.legend(
            lines[:_MOST_NAMES], short[:_MOST_NAMES], framealpha=0.6, edgecolor="none", fontsize=6, loc="upper left"
        )
    else:
        axes.text(0.5, 0.5, "No data", transform=axes.transAxes, ha="center", color="gray")


def text_of(value: float, unit: str) -> str:
    """Return a value with its unit, as Grafana writes it."""
    match unit:
        case "s":
            return f"{value * 1_000:.3g} ms" if value < 1 else f"{value:.3g} s"
        case "bytes":
            power = min(4, int(math.log2(value) // 10)) if value >= 1 else 0
            return f"{value / 2 ** (10 * power):.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
        case "percentunit":
            return f"{value:.0%}"
        case "reqps":
            return f"{value:.3g}/s"
        case _:
            return f"{value:.3g}"


if __name__ == "__main__":
    main()
