"""How every plot of the trainer looks, and how it is written. Needs Matplotlib, so only who draws imports this."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["COLORS", "draw_png"]

# Okabe and Ito's colours (2008), which people with any sort of colour vision tell apart.
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


def draw_png(path: Path, size: tuple[float, float], draw: Callable[[Figure], None]) -> None:
    """Write a picture of a size in inches; the same drawing gives the same bytes."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        # Without the version of Matplotlib in the file, which would change them.
        figure.savefig(path, dpi=_DPI, metadata={"Software": None})
