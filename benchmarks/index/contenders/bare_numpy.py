"""NumPy: an exact search by one product with all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.index.truth import Positions

_FILE = "rows.npy"


@dataclass(frozen=True)
class _Scan:
    rows: NDArray[np.float32]

    def set_effort(self, effort: int) -> None:
        """Do nothing; an exact search has no effort."""

    def nearest(self, query: NDArray[np.float32], k: int) -> Positions:
        """See `Searcher`."""
        cosines = self.rows @ query
        best = np.argpartition(cosines, len(cosines) - k)[-k:]
        found: Positions = best[np.argsort(-cosines[best])]
        return found


@dataclass(frozen=True)
class BareNumpy:
    """The memory-mapped file of the rows."""

    name: str = "numpy, exact"
    parameters: str = "float32"
    efforts: Sequence[int] = ()
    default_effort: int | None = None

    def build(self, rows_file: Path, folder: Path) -> None:
        """Link the file into `folder`."""
        (folder / _FILE).hardlink_to(rows_file)

    def open(self, rows_file: Path, folder: Path) -> _Scan:
        """See `Contender`."""
        return _Scan(np.load(folder / _FILE, mmap_mode="r").view(np.ndarray))


CONTENDER = BareNumpy()
