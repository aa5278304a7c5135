"""The interface of every contender, as in ann-benchmarks: build once, open, search one query on one thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.index.truth import Positions

# The same for every HNSW.
LINKS = 16
EF_CONSTRUCTION = 200


class Searcher(Protocol):
    """An open index."""

    def set_effort(self, effort: int) -> None:
        """Set the effort of the next searches; a contender without such a parameter ignores it."""
        ...

    def nearest(self, query: NDArray[np.float32], k: int) -> Positions:
        """Return the positions of the `k` nearest rows of a query (dimension,) that it finds."""
        ...


class Contender(Protocol):
    """One way to search; it can be pickled, because it builds in a separate process."""

    @property
    def name(self) -> str:
        """Its name in the table."""
        ...

    @property
    def parameters(self) -> str:
        """Its build parameters; it is rebuilt when they change."""
        ...

    @property
    def efforts(self) -> Sequence[int]:
        """Efforts to choose from, ascending; empty if it has no such parameter."""
        ...

    @property
    def default_effort(self) -> int | None:
        """The library's default effort, if that is measured too."""
        ...

    def build(self, rows_file: Path, folder: Path) -> None:
        """Build over float32 (n, dimension) in NumPy's format with all cores; write into `folder`."""
        ...

    def open(self, rows_file: Path, folder: Path) -> Searcher:
        """Open what `build` wrote, memory-mapped if the library supports it."""
        ...


def grid(first: int, last: int, growth: float = 1.1) -> Sequence[int]:
    """Return integers from `first` to beyond `last`, each about `growth` times the one before."""
    steps = [first]
    while steps[-1] < last:
        steps.append(max(steps[-1] + 1, round(growth * steps[-1])))
    return steps
