"""What every contender does, in the manner of ann-benchmarks: build once, open, search one query on one thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.index.truth import Positions

__all__ = ["EF_CONSTRUCTION", "LINKS", "Contender", "Searcher", "grid"]

# Alike for every HNSW.
LINKS = 16
EF_CONSTRUCTION = 200


class Searcher(Protocol):
    """An open index."""

    def set_effort(self, effort: int) -> None:
        """Set how hard the next searches look; a contender without such a knob ignores it."""
        ...

    def nearest(self, query: NDArray[np.float32], k: int) -> Positions:
        """Return the positions of the `k` nearest rows of a query (dimension,), as far as it finds them."""
        ...


class Contender(Protocol):
    """One way to search; can be pickled, because it builds in a process of its own."""

    @property
    def name(self) -> str:
        """Its name in the table."""
        ...

    @property
    def parameters(self) -> str:
        """What it is built with: what was built with others is built anew."""
        ...

    @property
    def efforts(self) -> Sequence[int]:
        """Efforts to choose from, rising; empty where there is no knob."""
        ...

    @property
    def default_effort(self) -> int | None:
        """The effort of who sets none, where that is measured too."""
        ...

    def build(self, rows_file: Path, folder: Path) -> None:
        """Build over float32 (n, dimension) in NumPy's format with all cores, and write into `folder`."""
        ...

    def open(self, rows_file: Path, folder: Path) -> Searcher:
        """Open what `build` wrote, memory-mapped where that is offered."""
        ...


def grid(first: int, last: int, growth: float = 1.1) -> Sequence[int]:
    """Return whole numbers from `first` to beyond `last`, each about `growth` times the one before."""
    steps = [first]
    while steps[-1] < last:
        steps.append(max(steps[-1] + 1, round(growth * steps[-1])))
    return steps
