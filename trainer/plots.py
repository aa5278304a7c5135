"""Draw runs as PNG files: the curves of a fit, its confusions, and the trials of a search.

Needs Matplotlib (the extra `train`), so only code that draws imports this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from trainer.fitting.settings import HeadSettings, best_epoch

if TYPE_CHECKING:
    from trainer.tuning.study import FinishedTrial

# Okabe and Ito's colours (2008), which people with any sort of colour vision can distinguish.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_DPI = 150
_STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}
_CLASSES = 30  # more names are too small to read
_PAIRS = 12
_LONGEST = 20
_PAIRS_WIDTH = 4.6  # inches, of two longest names and two numbers
_BLUE, _VERMILION, _GREEN = COLORS[:3]


def draw_png(path: Path, size: tuple[float, float], draw: Callable[[Figure], None]) -> None:
    """Write a picture of a size in inches; the same drawing gives the same bytes."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        # Leaves out Matplotlib's version, which would change the bytes.
        figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def draw_curves(history: Sequence[Mapping[str, Any]], settings: HeadSettings, path: Path) -> None:
    """Draw loss, held-out loss and hit@1 over the epochs, and which epoch's head was kept."""
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
    """Draw which labels held-out images are nearest to (n,), and the pairs confused most.

    `labels`: (n, most), padded with -1.
    """
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
    """Draw counts as numbers, and as colours their shares of the class, so that small classes are seen as well."""
    shares = shown.counts / np.maximum(1, shown.images[:, None])
    # Not linear: confusions are mostly small shares, and should be visible.
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


@dataclass(frozen=True)
class Confusion:
    """`counts` (classes, classes) int64: of the images of a row's class, how many are nearest to a column's.

    `images` (classes) int64: how many a class has, including those nearest to a class that is left out here.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    images: NDArray[np.int64]

    @property
    def wrong(self) -> NDArray[np.int64]:
        """The counts of images that are nearest to another class than theirs, (classes, classes)."""
        return self.counts - np.diag(np.diag(self.counts))

    def of_most_confused(self, most: int) -> Confusion:
        """Return at most `most` classes, in their order: those confused most, then those with most images.

        A class that no image has or is nearest to is left out.
        """
        seen = self.counts.sum(axis=0) + self.counts.sum(axis=1)
        pairs = np.argwhere(self.wrong)
        pairs = pairs[np.argsort(-self.wrong[tuple(pairs.T)], kind="stable")]
        ranked = dict.fromkeys([*pairs.ravel().tolist(), *np.argsort(-seen, kind="stable").tolist()])
        kept = sorted([number for number in ranked if seen[number]][:most])
        return Confusion(
            tuple(self.names[number] for number in kept), self.counts[np.ix_(kept, kept)], self.images[kept]
        )


def count_confusions(labels: NDArray[np.integer], nearest: NDArray[np.int64], names: Sequence[str]) -> Confusion:
    """Count images (n, most), padded with -1, and the label each is nearest to (n,).

    An image that is nearest to any of its labels counts as right under that label; any other counts under its first.
    """
    right = np.any(labels == nearest[:, None], axis=1)
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (np.where(right, nearest, labels[:, 0]), nearest), 1)
    return Confusion(tuple(names), counts, counts.sum(axis=1))


def most_confused_pairs(confusion: Confusion, most: int) -> list[tuple[str, str, int, int]]:
    """Return (class, mistaken for, number of images, images of the class), the most images first."""
    wrong = confusion.wrong
    pairs = np.argsort(-wrong, axis=None, kind="stable")[:most]
    rows, columns = np.unravel_index(pairs, wrong.shape)
    return [
        (confusion.names[row], confusion.names[column], int(wrong[row, column]), int(confusion.images[row]))
        for row, column in zip(rows, columns, strict=True)
        if wrong[row, column]
    ]


def draw_search(path: Path, tried: Sequence[FinishedTrial], importances: Mapping[str, float]) -> None:
    """Draw the completed trials, and the importances."""
    figure = Figure(figsize=(11, 4.5), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_trials(left, sorted(tried, key=lambda each: each.number))
    _draw_importances(right, importances)
    figure.savefig(path)


def _draw_trials(axes: Axes, tried: Sequence[FinishedTrial]) -> None:
    numbers, hits = [each.number for each in tried], [each.hit for each in tried]
    axes.plot(numbers, hits, "o", color=_BLUE, label="trial")
    axes.step(numbers, np.maximum.accumulate(hits), where="post", color=_BLUE, alpha=0.5, label="best so far")
    for each in tried:
        if each.defaults:
            axes.axhline(each.hit, color=_VERMILION, linestyle="--", label="default settings")
    axes.set(title="Completed trials", xlabel="trial", ylabel="held-out hit@1")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)


def _draw_importances(axes: Axes, importances: Mapping[str, float]) -> None:
    names = list(importances)[::-1]
    axes.barh(names, [importances[name] for name in names], color=_GREEN)
    axes.set(title="What the differences are due to", xlabel="share")
