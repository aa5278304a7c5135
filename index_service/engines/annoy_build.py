"""Builds an Annoy forest and measures its plan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from annoy import AnnoyIndex

from index_service.engines.annoy import FIRST_SEARCH_K, FOREST, PROJECTION, Forest
from index_service.engines.components import leading_components
from index_service.engines.contract import Progress
from index_service.engines.tuning import SEED, held_out_rows, make_plan

__all__ = ["build_forest"]

_CHUNK = 1_000


def build_forest(
    vectors_file: Path, folder: Path, target: float, trees: float, threads: float, *, progress: Progress
) -> None:
    """Writes the files of a forest over float32 (n, dimension) in NumPy's format; item i is row i.

    ``target``: the recall that the index aims at; the others as in Annoy.
    """
    vectors = np.load(vectors_file, mmap_mode="r").view(np.ndarray)
    projection = leading_components(vectors, SEED)
    components = vectors.shape[1] if projection is None else projection.shape[1]
    if projection is not None:
        np.save(folder / PROJECTION, projection)
    held_out = held_out_rows(len(vectors))
    left_out = set(held_out.tolist())
    forest = AnnoyIndex(components, "angular")
    forest.set_seed(SEED)
    forest.on_disk_build(str(folder / FOREST))
    for start in range(0, len(vectors), _CHUNK):
        block = vectors[start : start + _CHUNK]
        # A list of floats is added five times as fast as an array.
        for position, vector in enumerate((block if projection is None else block @ projection).tolist(), start):
            if position not in left_out:
                forest.add_item(position, vector)
        progress(min(start + _CHUNK, len(vectors)))
    forest.build(int(trees), n_jobs=int(threads))
    forest.unload()
    opened = Forest.open(folder, vectors.shape[1])
    make_plan(vectors, held_out, opened, FIRST_SEARCH_K, components, target).write(folder)
