"""Builds a usearch graph and measures its search plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from index_service.engines.contract import Progress
from index_service.engines.hnsw import FIRST_EXPANSION, GRAPH, Graph, new_graph
from index_service.engines.tuning import held_out_rows, make_plan
from index_service.vectors import read_array

_CHUNK = 1_000
# In a graph over 200,000 rows with 26 candidates, held-out rows found 0.97 of their neighbours, words that no row was
# made of found 0.92, mixtures of words 0.95, and held-out rows shifted by half of another row 0.93.
_SHIFT = 0.5


def build_graph(vectors_file: Path, folder: Path, target: float, threads: float, *, progress: Progress) -> None:
    """Write the files of a graph over float32 (n, dimension) in NumPy's format; key i is row i.

    `target`: the index's recall target; `threads`: -1 uses all cores.
    """
    vectors = read_array(vectors_file, mapped=True)
    held_out = held_out_rows(len(vectors))
    graph = new_graph(vectors.shape[1])
    for start in range(0, len(vectors), _CHUNK):
        rows = np.setdiff1d(np.arange(start, min(start + _CHUNK, len(vectors))), held_out, assume_unique=True)
        graph.add(rows, vectors[rows], threads=max(0, int(threads)))
        progress(min(start + _CHUNK, len(vectors)))
    plan = make_plan(vectors, held_out, Graph(graph), FIRST_EXPANSION, vectors.shape[1], target, _SHIFT)
    # Unlike a forest, a graph can still grow; with the held-out rows in it, no search has to compare them separately.
    graph.add(held_out, vectors[held_out], threads=max(0, int(threads)))
    graph.save(str(folder / GRAPH))
    replace(plan, held_out=()).write(folder)
