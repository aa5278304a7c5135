"""Annoy by itself: 50 trees, with its default search_k and with the one that reaches the recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from annoy import AnnoyIndex
from numpy.typing import NDArray

from benchmarks.index.contenders.contract import grid
from benchmarks.index.truth import Positions

_FILE = "forest.ann"
_SEED = 1


@dataclass
class _Forest:
    forest: AnnoyIndex
    search_k: int = -1

    def set_effort(self, effort: int) -> None:
        """Set search_k."""
        self.search_k = effort

    def nearest(self, query: NDArray[np.float32], k: int) -> Positions:
        """See `Searcher`."""
        # Annoy takes a list of floats five times as fast as an array.
        return np.array(self.forest.get_nns_by_vector(query.tolist(), k, self.search_k), dtype=np.intp)


@dataclass(frozen=True)
class BareAnnoy:
    """A memory-mapped forest."""

    name: str = "Annoy"
    trees: int = 50
    efforts: Sequence[int] = tuple(grid(500, 1_000_000))
    default_effort: int | None = -1

    @property
    def parameters(self) -> str:
        """See `Contender`."""
        return f"{self.trees} trees"

    def build(self, rows_file: Path, folder: Path) -> None:
        """See `Contender`."""
        rows = np.load(rows_file, mmap_mode="r").view(np.ndarray)
        forest = AnnoyIndex(rows.shape[1], "angular")
        forest.set_seed(_SEED)
        for position, row in enumerate(rows):
            forest.add_item(position, row.tolist())
        forest.build(self.trees, n_jobs=-1)
        forest.save(str(folder / _FILE))

    def open(self, rows_file: Path, folder: Path) -> _Forest:
        """See `Contender`."""
        forest = AnnoyIndex(np.load(rows_file, mmap_mode="r").shape[1], "angular")
        forest.load(str(folder / _FILE))
        return _Forest(forest)


CONTENDER = BareAnnoy()
