"""faiss-cpu by itself: HNSW over float32 vectors, read into memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.index.contenders.contract import EF_CONSTRUCTION, LINKS, grid
from benchmarks.index.truth import Positions

_FILE = "index.faiss"


@dataclass(frozen=True)
class _Graph:
    index: Any

    def set_effort(self, effort: int) -> None:
        """Set efSearch."""
        self.index.hnsw.efSearch = effort

    def nearest(self, query: NDArray[np.float32], k: int) -> Positions:
        """See `Searcher`."""
        _, found = self.index.search(query[None, :], k)
        return np.asarray(found[0], dtype=np.intp)


@dataclass(frozen=True)
class BareFaiss:
    """A graph over inner products, which for rows of length 1 are cosines."""

    name: str = "faiss HNSW"
    parameters: str = f"Flat, M={LINKS}, efConstruction={EF_CONSTRUCTION}"
    efforts: Sequence[int] = tuple(grid(10, 5_000))
    default_effort: int | None = None

    def build(self, rows_file: Path, folder: Path) -> None:
        """See `Contender`."""
        rows = np.load(rows_file, mmap_mode="r").view(np.ndarray)
        index = faiss.IndexHNSWFlat(rows.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EF_CONSTRUCTION
        index.add(rows)
        faiss.write_index(index, str(folder / _FILE))

    def open(self, rows_file: Path, folder: Path) -> _Graph:
        """See `Contender`."""
        faiss.omp_set_num_threads(1)
        return _Graph(faiss.read_index(str(folder / _FILE)))


CONTENDER = BareFaiss()
