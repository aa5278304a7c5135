"""The exact engine: a full scan. Every other engine is tested against it, and falls back on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from index_service.engines.contract import Found, Progress, Tuned
from index_service.vectors import Mask, Vectors, nearest


@dataclass(frozen=True)
class ExactSearcher:
    """Compares every row that counts, all queries with one matrix product."""

    vectors: Vectors

    def nearest(self, queries: Vectors, k: int, counting: Mask, recall: float) -> Found:
        """See `Searcher`; finds every tie at the k-th place too."""
        del recall
        return Found(nearest(queries, k, self.vectors, counting), compared_all=True)

    def tuned(self) -> Tuned:
        """See `Searcher`."""
        return Tuned(None, 1.0, 0, None, None, self.vectors.shape[1])


class ExactEngine:
    """Needs no files beside the vectors."""

    def build(self, vectors_file: Path, folder: Path, progress: Progress) -> tuple[str, ...]:
        """Write nothing."""
        del vectors_file, folder, progress
        return ()

    def open(self, vectors: Vectors, folder: Path) -> ExactSearcher:
        """See `Engine`."""
        del folder
        return ExactSearcher(vectors)

    def stop(self) -> None:
        """Nothing to end."""
