"""What every engine promises; the tests hold each against `exact`.

1. Smaller distance = nearer, for every engine. Distances are computed by `vectors.distances` from the float32 vectors,
   never by an engine, so all engines give the same distance for the same pair.
2. Positions inside a segment are 0…n−1. What row of the store a position stands for, and what item, is not the engine's
   business; neither is the order of equals.
3. A segment never changes. An engine's files are written once, by `build`, into a folder that nobody reads yet; whoever
   calls `build` syncs and publishes them.
4. `nearest` is never short: it finds min(k, rows that count) rows. An engine that searches approximately may find
   others than the nearest ones, an exact one may not.
5. Engines hold no locks and no state that a search changes: any number of threads search at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from index_service.vectors import Mask, Positions, Vectors

Progress = Callable[[int], None]


class Searcher(Protocol):
    """The rows of an open segment, searchable."""

    def compares_all(self, k: int, counting: Mask) -> bool:
        """Tells whether `nearest` with these arguments compares every row that counts."""
        ...

    def nearest(self, queries: Vectors, k: int, counting: Mask) -> Sequence[Positions]:
        """Finds, for each query (m, dimension) of length 1, positions of its `k` nearest rows and perhaps a few more.

        Args:
            queries: float32 (m, dimension).
            k: how many are wanted, at least 1.
            counting: bool (n,): rows that may be found; deleted ones may not.
        """
        ...


class Engine(Protocol):
    """One way to search segments."""

    def build(self, vectors_file: Path, folder: Path, progress: Progress) -> tuple[str, ...]:
        """Writes the engine's own files into `folder` and returns their names.

        Args:
            vectors_file: float32 (n, dimension) in NumPy's format, n ≥ 1.
            folder: where to write.
            progress: called with the number of rows that are done.

        Raises:
            BuildFailed: it cannot be built, or `stop` was called.
        """
        ...

    def open(self, vectors: Vectors, folder: Path) -> Searcher:
        """Opens what `build` wrote for these vectors."""
        ...

    def stop(self) -> None:
        """Ends a build that is under way, and lets none begin any more."""
        ...
