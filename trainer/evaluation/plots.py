"""A report as pictures: calibration curves, hit@k beside the baselines, similarities of pairs, hubs. PNG files.

This package's one module that imports Matplotlib, which is installed with the extra ``report``; no service needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.evaluation.reliability import Reliability
from trainer.evaluation.report import BundleDetails, Column, Report

__all__ = ["write_plots"]

_DPI = 150
# Okabe and Ito's colours (2008), which people with any sort of colour vision tell apart.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_RIGHT, _WRONG = _COLORS[0], _COLORS[1]
_STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}


def write_plots(report: Report, folder: Path) -> tuple[Path, ...]:
    """Write the plots into a folder; their paths."""
    details = report.bundles[0]
    drawings: Mapping[str, tuple[Callable[[Axes], None], tuple[float, float]]] = {
        "calibration.png": (lambda axes: _calibration(axes, details), (6.0, 5.6)),
        "hits.png": (lambda axes: _hits(axes, report.columns), (7.5, 5.0)),
        "similarities.png": (lambda axes: _similarities(axes, details), (7.5, 4.6)),
        "hubs.png": (lambda axes: _hubs(axes, details), (7.5, 4.6)),
    }
    paths = []
    for name, (draw, size) in drawings.items():
        with mpl.rc_context(_STYLE):
            figure = Figure(figsize=size, layout="constrained")
            draw(figure.add_subplot())
            # Without the version of Matplotlib in the file, the same report gives the same bytes.
            figure.savefig(folder / name, dpi=_DPI, metadata={"Software": None})
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
        color = _COLORS[number % len(_COLORS)]
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
    # Below, where no bar is: those of a good space reach the top for every k.
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
    axes.bar(np.arange(len(counts)), counts, width=1.0, color=_COLORS[0], edgecolor="white", linewidth=0.3)
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
