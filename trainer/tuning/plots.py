"""A search as a picture: what each trial got, and how much each setting matters. A PNG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainer.tuning.study import FinishedTrial

__all__ = ["write_plot"]

# Okabe and Ito's colours (2008), which people with any sort of colour vision tell apart.
_BLUE, _VERMILION, _GREEN = "#0072B2", "#D55E00", "#009E73"


def write_plot(path: Path, tried: Sequence[FinishedTrial], importances: Mapping[str, float]) -> None:
    """Draw the trials that ran to their end, and the importances."""
    figure = Figure(figsize=(11, 4.5), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    _history(left, sorted(tried, key=lambda each: each.number))
    _importances(right, importances)
    figure.savefig(path)


def _history(axes: Axes, tried: Sequence[FinishedTrial]) -> None:
    numbers, hits = [each.number for each in tried], [each.hit for each in tried]
    axes.plot(numbers, hits, "o", color=_BLUE, label="trial")
    axes.step(numbers, np.maximum.accumulate(hits), where="post", color=_BLUE, alpha=0.5, label="best so far")
    for each in tried:
        if each.defaults:
            axes.axhline(each.hit, color=_VERMILION, linestyle="--", label="default settings")
    axes.set(title="Trials that ran to their end", xlabel="trial", ylabel="held-out hit@1")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)


def _importances(axes: Axes, importances: Mapping[str, float]) -> None:
    names = list(importances)[::-1]
    axes.barh(names, [importances[name] for name in names], color=_GREEN)
    axes.set(title="What the differences are due to", xlabel="share")
