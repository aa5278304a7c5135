"""The guarantees of every engine; tests compare each engine with `exact`.

1. For every engine, a smaller distance means nearer. Distances are computed by `vectors.distances` from the float32
   vectors, never by an engine, so all engines give the same distance for the same pair.
2. Positions in a segment are 0…n−1. Engines do not know the row or the item at a position, nor do they define the order
   of equal distances.
3. A segment never changes. `build` writes an engine's files once, into a folder that no one reads yet; its caller syncs
   and publishes them.
4. `nearest` is never short: it finds min(k, eligible rows) rows. An approximate engine may miss some of the nearest
   rows, and aims at the requested share of them; an exact engine finds them all. An answer says whether every eligible
   row was compared.
5. A search changes no state of an engine, so any number of threads may search at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from index_service.vectors import Mask, Positions, Vectors

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Found:
    """The positions of each query's nearest rows and perhaps a few more, and whether all rows were compared."""

    positions: Sequence[Positions]
    compared_all: bool


@dataclass(frozen=True)
class Tuned:
    """How a segment is searched for its index's recall target.

    `effort`: nodes that Annoy visits (search_k) or candidates that HNSW keeps (ef); None if all rows are compared,
    because that is not slower or because no effort reaches the target. `recall`: recall@10, measured with `queries`
    queries that influenced neither the engine's files nor the effort; 1 if all rows are compared. `milliseconds`,
    `scan_milliseconds`: time of one query by the engine and by comparing all rows; None if not measured.
    `components`: the dimension of the vectors that the engine keeps.
    """

    effort: int | None
    recall: float
    queries: int
    milliseconds: float | None
    scan_milliseconds: float | None
    components: int


class Searcher(Protocol):
    """The rows of an open segment, searchable."""

    def nearest(self, queries: Vectors, k: int, eligible: Mask, recall: float) -> Found:
        """Find the nearest rows of each query.

        Args:
            queries: float32 (m, dimension) of length 1.
            k: the number of neighbours, at least 1.
            eligible: bool (n,): rows that may be found, which excludes deleted ones.
            recall: share of the true nearest rows to aim at, in (0, 1]; 1 compares all rows.
        """
        ...

    def tuned(self) -> Tuned:
        """Return how it searches for its index's recall target."""
        ...


class Engine(Protocol):
    """One way to search segments."""

    def build(self, vectors_file: Path, folder: Path, progress: Progress) -> tuple[str, ...]:
        """Write the engine's own files into `folder` and return their names.

        Args:
            vectors_file: float32 (n, dimension) in NumPy's format, n ≥ 1.
            folder: where to write.
            progress: called with the number of rows done.

        Raises:
            BuildFailed: the files cannot be built, or `stop` was called.
            StorageFull: there is no disk space for them.
        """
        ...

    def open(self, vectors: Vectors, folder: Path) -> Searcher:
        """Open the files that `build` wrote for these vectors.

        Raises:
            UnusablePlan: another version wrote them.
        """
        ...

    def stop(self) -> None:
        """Stop a running build, and let no other start."""
        ...
