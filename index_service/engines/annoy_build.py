"""Builds an Annoy forest and measures its search plan."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from annoy import AnnoyIndex

from index_service.engines.annoy import FIRST_SEARCH_K, FOREST, ORDER, PROJECTION, Forest
from index_service.engines.components import Projection, leading_components
from index_service.engines.contract import Progress
from index_service.engines.locality import local_order
from index_service.engines.tuning import SEED, held_out_rows, make_plan
from index_service.storage import write_array
from index_service.vectors import Positions, Vectors, read_array

_CHUNK = 1_000
# A forest over full vectors is as large as the vectors even without a tree, so it gets this share of the trees.
_FULL_VECTOR_SHARE = 0.4
# The first numbers are enough to place a vector, and take little memory.
_ORDERED_BY = 24


def build_forest(
    vectors_file: Path, folder: Path, target: float, trees: float, threads: float, *, progress: Progress
) -> None:
    """Write the files of a forest over float32 (n, dimension) in NumPy's format.

    `target`: the index's recall target; `trees`: for a forest over components; `threads`: as in Annoy.
    """
    vectors = read_array(vectors_file, mapped=True)
    projection = leading_components(vectors, SEED)
    components = vectors.shape[1] if projection is None else projection.shape[1]
    if projection is not None:
        write_array(folder / PROJECTION, projection)
    held_out = held_out_rows(len(vectors))
    order = _order(vectors, projection)
    order = order[~np.isin(order, held_out)]
    write_array(folder / ORDER, order)
    forest = AnnoyIndex(components, "angular")
    forest.set_seed(SEED)
    forest.on_disk_build(str(folder / FOREST))
    for start in range(0, len(order), _CHUNK):
        block = vectors[order[start : start + _CHUNK]]
        # Annoy adds a list of floats five times as fast as an array.
        for item, vector in enumerate((block if projection is None else block @ projection).tolist(), start):
            forest.add_item(item, vector)
        progress(start + _CHUNK if start + _CHUNK < len(order) else len(vectors))
    forest.build(math.ceil(trees if projection is not None else _FULL_VECTOR_SHARE * trees), n_jobs=int(threads))
    forest.unload()
    opened = Forest.open(folder, vectors)
    make_plan(vectors, held_out, opened, FIRST_SEARCH_K, components, target).write(folder)


def _order(vectors: Vectors, projection: Projection | None) -> Positions:
    """Return the positions of all vectors in the forest's order."""
    numbers = np.empty((len(vectors), min(_ORDERED_BY, vectors.shape[1])), dtype=np.float32)
    for start in range(0, len(vectors), _CHUNK):
        block = vectors[start : start + _CHUNK]
        leading = block if projection is None else block @ projection[:, :_ORDERED_BY]
        numbers[start : start + len(block)] = leading[:, :_ORDERED_BY]
    return local_order(numbers)
