"""usearch by itself, with the number format of the service's `hnsw` engine, memory-mapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from benchmarks.index.contenders.contract import EF_CONSTRUCTION, LINKS, grid
from benchmarks.index.truth import Positions

_NUMBERS = "f16"
_FILE = "index.usearch"


@dataclass(frozen=True)
class _Graph:
    index: Index

    def set_effort(self, effort: int) -> None:
        """Set expansion_search."""
        self.index.expansion_search = effort  # type: ignore[misc] # mypy misses the setter

    def nearest(self, query: NDArray[np.float32], k: int) -> Positions:
        """See `Searcher`."""
        return np.asarray(self.index.search(query, k, threads=1).keys, dtype=np.intp)


@dataclass(frozen=True)
class BareUsearch:
    """A graph over cosines."""

    name: str = "usearch"
    parameters: str = f"{_NUMBERS}, connectivity={LINKS}, expansion_add={EF_CONSTRUCTION}"
    efforts: Sequence[int] = tuple(grid(10, 5_000))
    default_effort: int | None = None

    def build(self, rows_file: Path, folder: Path) -> None:
        """See `Contender`."""
        rows = np.load(rows_file, mmap_mode="r").view(np.ndarray)
        index = Index(
            ndim=rows.shape[1], metric="cos", dtype=_NUMBERS, connectivity=LINKS, expansion_add=EF_CONSTRUCTION
        )
        index.add(np.arange(len(rows)), rows)
        index.save(str(folder / _FILE))

    def open(self, rows_file: Path, folder: Path) -> _Graph:
        """See `Contender`."""
        index = Index.restore(str(folder / _FILE), view=True)
        if index is None:
            raise ValueError(f"{folder / _FILE} is not a usearch index; delete it to rebuild it.")
        return _Graph(index)


CONTENDER = BareUsearch()
