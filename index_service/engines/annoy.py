"""The Annoy engine: a forest of random projection trees (github.com/spotify/annoy), searched approximately.

The forest indexes the leading principal components of the vectors if these hold most of their length, and the full
vectors otherwise. `search_k`, the number of nodes that a search visits, is the effort that the segment's plan tunes.
Items are in the order of `locality`, because a search spends most of its time waiting for their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from annoy import AnnoyIndex

from index_service.engines.approximate import ApproximateSearcher
from index_service.engines.build_process import BuildProcess
from index_service.engines.components import Projection
from index_service.engines.contract import Progress
from index_service.engines.planning import PLAN_FILE, Plan
from index_service.vectors import Positions, Vectors, read_array

FOREST = "forest.ann"
ORDER = "order.npy"
PROJECTION = "projection.npy"
# With 200,000 rows and 96 components, 30 trees needed 26,000 nodes for a recall@10 of 0.95, 60 needed 20,000 and 90
# needed 17,000. Each tree takes a hundredth of the vectors' size; forest and vectors together may take 2.2 times it.
TREES = 75
FIRST_SEARCH_K = 250
# Annoy ranks in float32: near the k-th place, its order may be off by a few.
_SPARE = 64
# With fewer components it ranks less accurately, so one in this many visited nodes is reranked. Of 32,000 nodes over
# 200,000 rows, 1,287 reranked gave a recall@10 of 0.956 in 6.6 ms, 320 gave 0.952 in 5.7 ms, 80 gave 0.936.
_RERANKED = 60


@dataclass(frozen=True)
class Forest:
    """A memory-mapped forest over projected vectors, or over full vectors if `projection` is None.

    `order`: the positions of its items, intp (items,).
    """

    forest: AnnoyIndex
    order: Positions
    projection: Projection | None

    @classmethod
    def open(cls, folder: Path, vectors: Vectors) -> Forest:
        """Open a forest over vectors (n, dimension); raises ValueError if its files do not fit them."""
        count, dimension = vectors.shape
        file = folder / PROJECTION
        projection: Projection | None = read_array(file) if file.exists() else None
        if projection is not None and (projection.ndim != 2 or len(projection) != dimension):
            raise ValueError(f"{PROJECTION} is not for {dimension} dimensions")
        forest = AnnoyIndex(dimension if projection is None else projection.shape[1], "angular")
        forest.load(str(folder / FOREST))
        order = read_array(folder / ORDER)
        if order.dtype != np.intp or order.shape != (forest.get_n_items(),) or ((order < 0) | (order >= count)).any():
            raise ValueError(f"{ORDER} is not an order of its items")
        return cls(forest, order, projection)

    def reranked(self, k: int, effort: int) -> int:
        """See `Proposer`."""
        return max(k + _SPARE, effort // _RERANKED)

    def propose(self, queries: Vectors, limit: int, effort: int) -> Sequence[Positions]:
        """See `Proposer`."""
        projected = queries if self.projection is None else queries @ self.projection
        return [self.order[self.forest.get_nns_by_vector(query, limit, effort)] for query in projected.tolist()]


@dataclass
class AnnoyEngine:
    """Builds forests, each in its own process, and opens them memory-mapped."""

    target: float
    threads: int = 1
    trees: int = TREES
    process: BuildProcess = field(default_factory=BuildProcess)

    def build(self, vectors_file: Path, folder: Path, progress: Progress) -> tuple[str, ...]:
        """See `Engine`."""
        self.process.run("annoy", vectors_file, folder, (self.target, self.trees, self.threads), progress)
        return tuple(name for name in (FOREST, ORDER, PROJECTION, PLAN_FILE) if (folder / name).exists())

    def open(self, vectors: Vectors, folder: Path) -> ApproximateSearcher:
        """See `Engine`."""
        plan = Plan.read(folder)  # first, because it checks that this program can read the other files
        return ApproximateSearcher(vectors, Forest.open(folder, vectors), plan)

    def stop(self) -> None:
        """See `Engine`."""
        self.process.stop()
