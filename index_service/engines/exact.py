"""The exact engine: a full scan. All other engines are tested against it and fall back to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from index_service.engines.contract import Found, Progress, Tuned
from index_service.vectors import Mask, Vectors, nearest


@dataclass(frozen=True)
class ExactSearcher:
    """Compares all eligible rows with all queries in one matrix product."""

    vectors: Vectors

    def nearest(self, queries: Vectors, k: int, eligible: Mask, recall: float) -> Found:
        """See `Searcher`; this also finds every tie at the k-th place."""
        del recall
        return Found(nearest(queries, k, self.vectors, eligible), compared_all=True)

    def tuned(self) -> Tuned:
        """See `Searcher`."""
        return Tuned(None, 1.0, 0, None, None, self.vectors.shape[1])


class ExactEngine:
    """Needs no files besides the vectors."""

    def build(self, vectors_file: Path, folder: Path, progress: Progress) -> tuple[str, ...]:
        """Write nothing."""
        del vectors_file, folder, progress
        return ()

    def open(self, vectors: Vectors, folder: Path) -> ExactSearcher:
        """See `Engine`."""
        del folder
        return ExactSearcher(vectors)

    def stop(self) -> None:
        """Do nothing; builds end at once."""
