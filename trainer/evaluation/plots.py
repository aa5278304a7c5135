"""Draw a report as PNG files: calibration curves, hit@k compared with baselines, similarities of pairs, hubs.

Needs Matplotlib, which is installed with the extra `report`; no service needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.evaluation.report import BundleDetails, Column, Report
from trainer.plots import COLORS, draw_png
from trainer.relevance.calibration import Reliability

_RIGHT, _WRONG = COLORS[0], COLORS[1]


def write_plots(report: Report, folder: Path) -> tuple[Path, ...]:
    """Write the plots into a folder, and return their paths."""
    details = report.bundles[0]
    drawings: Mapping[str, tuple[Callable[[Figure], None], tuple[float, float]]] = {
        "calibration.png": (lambda figure: _calibration(figure.add_subplot(), details), (6.0, 5.6)),
        "hits.png": (lambda figure: _hits(figure.add_subplot(), report.columns), (7.5, 5.0)),
        "similarities.png": (lambda figure: _similarities(figure.add_subplot(), details), (7.5, 4.6)),
        "hubs.png": (lambda figure: _hubs(figure.add_subplot(), details), (7.5, 4.6)),
    }
    paths = []
    for name, (draw, size) in drawings.items():
        draw_png(folder / name, size, draw)
        paths.append(folder / name)
    return tuple(paths)


def _calibration(axes: Axes, details: BundleDetails) -> None:
    axes.plot([0, 1], [0, 1], color="#999999", linestyle="--", label="as it should be")
    _reliability(axes, details.text_reliability, "text → image", _RIGHT, "o")
    _reliability(axes, details.tag_reliability, "tags", _WRONG, "s")
    axes.set(
        title=f"Does relevance mean what it says?\n{details.model}",
        xlabel="predicted relevance (mean of each bin)",
        ylabel="share that is right (right and wrong weigh the same)",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
    )
    axes.legend(loc="upper left")


def _reliability(axes: Axes, found: Reliability | None, title: str, color: str, marker: str) -> None:
    if found is not None:
        label = f"{title} (expected error {found.error:.3f})"
        axes.plot(found.predicted, found.right, color=color, marker=marker, label=label)


def _hits(axes: Axes, columns: tuple[Column, ...]) -> None:
    ks = (1, 2, 5, 10)
    drawn = [column for column in columns if all(f"hit@{k}" in column.metrics for k in ks)]
    width = 0.8 / len(drawn)
    for number, column in enumerate(drawn):
        places = np.arange(len(ks)) + (number - (len(drawn) - 1) / 2) * width
        hits = [100 * column.metrics[f"hit@{k}"] for k in ks]
        hatch = "//" if column.kind == "baseline" else None
        color = COLORS[number % len(COLORS)]
        bars = axes.bar(places, hits, width, color=color, hatch=hatch, edgecolor="white", label=column.name)
        if len(drawn) <= 8:
            axes.bar_label(bars, fmt="%.0f", fontsize=7)
    axes.set(
        title="Right label among the k nearest of all classes",
        xlabel="k",
        ylabel="images (%)",
        xticks=np.arange(len(ks)),
        xticklabels=[str(k) for k in ks],
        ylim=(0, 105),  # room for the figure above a bar of 100 %
    )
    axes.grid(visible=False, axis="x")
    # Below the axes, clear of the bars: a good space's reach the top for every k.
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, fontsize=9)


def _similarities(axes: Axes, details: BundleDetails) -> None:
    shown = details.similarities
    for density, color, title in (
        (shown.right, _RIGHT, "right: the image shows it"),
        (shown.wrong, _WRONG, "wrong: it does not"),
    ):
        axes.stairs(density, shown.edges, fill=True, alpha=0.45, color=color, label=title)
        axes.stairs(density, shown.edges, color=color)
    axes.set(
        title=f"Cosine of words and images\n{details.model}",
        xlabel="cosine similarity",
        ylabel="density of pairs",
    )
    axes.legend()


def _hubs(axes: Axes, details: BundleDetails) -> None:
    hubs = details.hubs
    counts = np.bincount(hubs.counts)
    axes.bar(np.arange(len(counts)), counts, width=1.0, color=COLORS[0], edgecolor="white", linewidth=0.3)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5)
    axes.annotate(
        f"“{hubs.word}”: {hubs.greatest}",
        xy=(hubs.greatest, 1),
        xytext=(0, 90),
        textcoords="offset points",
        ha="right",
        arrowprops={"arrowstyle": "->"},
    )
    axes.set(
        title=f"How often a word is among the ten nearest of another: skewness {hubs.skewness:.2f}\n{details.model}",
        xlabel="10-occurrence",
        ylabel="words (logarithmic)",
    )
