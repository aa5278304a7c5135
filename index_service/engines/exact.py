"""The exact engine: a full scan. Every other engine is tested against it, and falls back on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from index_service.engines.contract import Progress
from index_service.vectors import Mask, Positions, Vectors, nearest


@dataclass(frozen=True)
class ExactSearcher:
    """Compares every row that counts, with one matrix product."""

    vectors: Vectors

    def compares_all(self, k: int, counting: Mask) -> bool:
        """Always."""
        del k, counting
        return True

    def nearest(self, queries: Vectors, k: int, counting: Mask) -> Sequence[Positions]:
        """See `Searcher`; finds every tie at the k-th place too."""
        return nearest(queries, k, self.vectors, counting)


class ExactEngine:
    """Needs no files beside the vectors."""

    def build(self, vectors_file: Path, folder: Path, progress: Progress) -> tuple[str, ...]:
        """Writes nothing."""
        del vectors_file, folder, progress
        return ()

    def open(self, vectors: Vectors, folder: Path) -> ExactSearcher:
        """See `Engine`."""
        del folder
        return ExactSearcher(vectors)

    def stop(self) -> None:
        """Nothing to end."""
