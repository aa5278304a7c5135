"""What every engine promises; the tests hold each against `exact`.

1. Smaller distance = nearer, for every engine. Distances are computed by `vectors.distances` from the float32 vectors,
   never by an engine, so all engines give the same distance for the same pair.
2. Positions inside a segment are 0…n−1. What row of the store a position stands for, and what item, is not the engine's
   business; neither is the order of equals.
3. A segment never changes. An engine's files are written once, by `build`, into a folder that nobody reads yet; whoever
   calls `build` syncs and publishes them.
4. `nearest` is never short: it finds min(k, rows that count) rows. An engine that searches approximately may find
   others than the nearest ones, and aims at the share of them that the caller asks for; an exact one may not. An answer
   says whether every row that counts was compared.
5. Engines hold no state that a search changes: any number of threads search at once.
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
    """For each query the positions of its nearest rows and perhaps a few more, and whether all rows were compared."""

    positions: Sequence[Positions]
    compared_all: bool


@dataclass(frozen=True)
class Tuned:
    """How a segment is searched at the recall target of its index.

    `effort`: nodes that Annoy looks at (search_k), candidates that HNSW keeps (ef); None where all rows are compared,
    because that is not slower or because nothing less reaches the target. `recall`: recall@10 measured with
    `queries` queries that neither the engine's files nor the effort were made from; 1 where all rows are compared.
    `milliseconds`, `scan_milliseconds`: of one query, by the engine and comparing all; None where not measured.
    `components`: of how many numbers the vectors are that the engine keeps.
    """

    effort: int | None
    recall: float
    queries: int
    milliseconds: float | None
    scan_milliseconds: float | None
    components: int


class Searcher(Protocol):
    """The rows of an open segment, searchable."""

    def nearest(self, queries: Vectors, k: int, counting: Mask, recall: float) -> Found:
        """Find the nearest rows of each query.

        Args:
            queries: float32 (m, dimension) of length 1.
            k: how many are wanted, at least 1.
            counting: bool (n,): rows that may be found; deleted ones may not.
            recall: share of the true nearest ones to aim at, in (0, 1]; 1 compares all.
        """
        ...

    def tuned(self) -> Tuned:
        """Return how it searches at the recall target of its index."""
        ...


class Engine(Protocol):
    """One way to search segments."""

    def build(self, vectors_file: Path, folder: Path, progress: Progress) -> tuple[str, ...]:
        """Write the engine's own files into `folder` and return their names.

        Args:
            vectors_file: float32 (n, dimension) in NumPy's format, n ≥ 1.
            folder: where to write.
            progress: called with the number of rows that are done.

        Raises:
            BuildFailed: it cannot be built, or `stop` was called.
            StorageFull: there is no room for its files.
        """
        ...

    def open(self, vectors: Vectors, folder: Path) -> Searcher:
        """Open what `build` wrote for these vectors.

        Raises:
            UnusablePlan: another version wrote them.
        """
        ...

    def stop(self) -> None:
        """End a running build, and let no other begin."""
        ...
