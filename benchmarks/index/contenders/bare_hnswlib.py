"""hnswlib by itself: float32, read into memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import hnswlib
import numpy as np
from numpy.typing import NDArray

from benchmarks.index.contenders.contract import EF_CONSTRUCTION, LINKS, grid
from benchmarks.index.truth import Positions

_FILE = "index.hnswlib"


@dataclass(frozen=True)
class _Graph:
    index: hnswlib.Index

    def set_effort(self, effort: int) -> None:
        """Set ef."""
        self.index.set_ef(effort)

    def nearest(self, query: NDArray[np.float32], k: int) -> Positions:
        """See `Searcher`."""
        found, _ = self.index.knn_query(query, k, num_threads=1)
        return np.asarray(found[0], dtype=np.intp)


@dataclass(frozen=True)
class BareHnswlib:
    """A graph over inner products, which for rows of length 1 are cosines."""

    name: str = "hnswlib"
    parameters: str = f"float32, M={LINKS}, ef_construction={EF_CONSTRUCTION}"
    efforts: Sequence[int] = tuple(grid(10, 5_000))
    default_effort: int | None = None

    def build(self, rows_file: Path, folder: Path) -> None:
        """See `Contender`."""
        rows = np.load(rows_file, mmap_mode="r").view(np.ndarray)
        index = hnswlib.Index(space="ip", dim=rows.shape[1])
        index.init_index(max_elements=len(rows), M=LINKS, ef_construction=EF_CONSTRUCTION)
        index.add_items(rows)
        index.save_index(str(folder / _FILE))

    def open(self, rows_file: Path, folder: Path) -> _Graph:
        """See `Contender`."""
        index = hnswlib.Index(space="ip", dim=np.load(rows_file, mmap_mode="r").shape[1])
        index.load_index(str(folder / _FILE))
        return _Graph(index)


CONTENDER = BareHnswlib()
