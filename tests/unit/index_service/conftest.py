from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index_service.items import NewItem, Upsert
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.merge_plan import Thresholds
from index_service.local.vector_index import VectorIndex
from index_service.vectors import unit
from tests.unit.index_service.engines_in_process import engine_of

OpenCatalog = Callable[[], Catalog]
# So high that nothing is merged unless a test requests it.
NEVER = Thresholds(full_scan_threshold=10**9, deleted_threshold=1.0, vacuum_min_vector_number=10**9)


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def open_data(data_folder: Path, stack: ExitStack) -> OpenCatalog:
    """Open the test's data folder; first close what was open before, as a restart does."""

    def reopen() -> Catalog:
        stack.close()
        return stack.enter_context(open_catalog(data_folder, engine_of, NEVER))

    return reopen


def random_units(seed: int, count: int, dimension: int) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


def fill(index: VectorIndex, count: int, seed: int = 0, first: int = 0) -> NDArray[np.float32]:
    """Add items "0", "1", … with random vectors, and return the vectors."""
    vectors = random_units(seed, count, index.definition.dimension)
    index.upsert(
        Upsert(tuple(NewItem(str(number), "{}", vector) for number, vector in enumerate(vectors, first)))
    ).result()
    return vectors


def found_ids(index: VectorIndex, query: NDArray[np.float32], k: int) -> list[str]:
    answer = index.search([query], k, None, attributes=False)
    return [neighbor.id for neighbor in answer.neighbors[0]]
