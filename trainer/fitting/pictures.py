"""A fit as pictures: its curves, and which classes it confuses. PNG files; needs Matplotlib (the extra ``train``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from trainer.fitting.confusion import Confusion, count_confusions, most_confused_pairs
from trainer.fitting.early_stopping import best_epoch
from trainer.fitting.settings import HeadSettings
from trainer.plot_style import COLORS, draw_png

__all__ = ["draw_confusion", "draw_curves"]

_CLASSES = 30  # more names are too small to read
_PAIRS = 12
_LONGEST = 20
_PAIRS_WIDTH = 4.6  # inches, of two longest names and two numbers


def draw_curves(history: Sequence[Mapping[str, Any]], settings: HeadSettings, path: Path) -> None:
    """Loss, held-out loss and hit@1 over the epochs, and which epoch's head was kept."""
    epochs = [entry["epoch"] for entry in history]
    watched = "held_out_loss" in history[-1]

    def draw(figure: Figure) -> None:
        above = figure.add_subplot(2, 1, 1) if watched else figure.add_subplot()
        above.plot(epochs, [entry["loss"] for entry in history], "o-", ms=3, color=COLORS[0], label="training")
        above.set(title=f"Loss ({settings.loss.kind})", ylabel="mean of the images", xlabel="" if watched else "epoch")
        panels = [above]
        if watched:
            losses = [entry["held_out_loss"] for entry in history]
            above.plot(epochs, losses, "s-", ms=3, color=COLORS[1], label="held out")
            below = figure.add_subplot(2, 1, 2, sharex=above)
            hits = [entry["held_out_hit@1"] for entry in history]
            below.plot(epochs, hits, "s-", ms=3, color=COLORS[1])
            below.set(title="Held-out images nearest to a label of theirs (hit@1)", xlabel="epoch", ylim=(0, 1.02))
            below.yaxis.set_major_formatter(PercentFormatter(1.0))
            panels.append(below)
        kept = best_epoch(history, settings)
        for panel in panels:
            label = f"kept: epoch {kept}" if panel is above else None
            panel.axvline(kept, color=COLORS[-1], linestyle="--", linewidth=1, label=label)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        above.legend()

    draw_png(path, (7.5, 6.5 if watched else 4.0), draw)


def draw_confusion(labels: NDArray[np.integer], nearest: NDArray[np.int64], names: Sequence[str], path: Path) -> None:
    """Which labels held-out images (n, most), padded with -1, are nearest to (n,), and the pairs confused most."""
    whole = count_confusions(labels, nearest, names)
    shown = whole.of_most_confused(_CLASSES)
    pairs = most_confused_pairs(whole, _PAIRS)

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(edge + 1, _PAIRS_WIDTH))
        _draw_matrix(left, shown)
        there = len(whole.of_most_confused(len(names)).names)
        which = f"\nthe {len(shown.names)} most confused of {there} classes" if there > len(shown.names) else ""
        left.set_title(f"{len(labels):,} held-out images by nearest label{which}")
        _name_pairs(right, pairs)

    edge = 4.5 + 0.2 * len(shown.names)
    draw_png(path, (edge + 1 + _PAIRS_WIDTH, edge), draw)


def _draw_matrix(axes: Any, shown: Confusion) -> None:
    """Numbers are images; colours are shares of the class's, so that classes of few images are seen as well."""
    shares = shown.counts / np.maximum(1, shown.images[:, None])
    # Not linear: what is wrong is mostly a small share, and is what one looks for.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    ticks = [_short(name) for name in shown.names]
    axes.set_xticks(range(len(ticks)), ticks, rotation=90, fontsize=8)
    axes.set_yticks(range(len(ticks)), ticks, fontsize=8)
    axes.set(xlabel="nearest label", ylabel="own label")
    axes.grid(visible=False)
    for row, column in zip(*np.nonzero(shown.counts), strict=True):
        color = "white" if shares[row, column] > 0.35 else "black"
        axes.text(column, row, shown.counts[row, column], ha="center", va="center", fontsize=7, color=color)
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.04, ticks=(0, 0.1, 0.25, 0.5, 1), format=PercentFormatter(1))
    bar.set_label("share of the class")


def _name_pairs(axes: Any, pairs: Sequence[tuple[str, str, int, int]]) -> None:
    axes.set_axis_off()
    lines = [f"{_short(own)} → {_short(other)}:  {count} of {total}" for own, other, count, total in pairs]
    axes.set_title("taken for another, most often", loc="left", fontsize=10)
    axes.text(0, 0.98, "\n\n".join(lines) or "none", va="top", fontsize=9, transform=axes.transAxes)


def _short(name: str) -> str:
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[: half - 1]}…{name[-half:]}"
