"""Runs this project's index in process: a search as in the service, without gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.index.service import INDEX
from benchmarks.index.truth import Positions
from benchmarks.index.vectors import K
from index_service.engines.choosing import engine_of
from index_service.local.catalog import open_catalog
from index_service.local.merge_plan import Thresholds


@contextmanager
def open_index(data: Path) -> Iterator[Callable[[NDArray[np.float32]], Positions]]:
    """Open the index in a data folder that no service uses, and yield its search function."""
    with open_catalog(data / "index", engine_of, Thresholds()) as catalog:
        index = catalog.get(INDEX)

        def search(query: NDArray[np.float32]) -> Positions:
            (neighbors,) = index.search([query], K, None, attributes=False).neighbors
            return np.array([int(neighbor.id) for neighbor in neighbors], dtype=np.intp)

        yield search
