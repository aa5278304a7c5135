"""The HNSW engine: a hierarchy of proximity graphs (Malkov and Yashunin 2016), built and searched by usearch.

The graph holds the vectors as float16, which is half their size, and is memory-mapped. The number of candidates that a
search keeps (ef, or expansion) is the effort that the segment's plan tunes. usearch keeps at least as many candidates
as the call requests, so the effort is passed as this count, and no state of the graph changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from usearch.index import Index

from index_service.engines.approximate import ApproximateSearcher
from index_service.engines.build_process import BuildProcess
from index_service.engines.contract import Progress
from index_service.engines.planning import PLAN_FILE, Plan
from index_service.vectors import Positions, Vectors

GRAPH = "graph.usearch"
FIRST_EXPANSION = 12
# M and efConstruction in the paper, with the values that usearch recommends.
_CONNECTIVITY = 16
_EXPANSION_ADD = 128
# float16 may swap neighbours whose distances agree to three digits.
_SPARE = 16


def new_graph(dimension: int) -> Index:
    """Return an empty graph."""
    return Index(
        ndim=dimension,
        metric="ip",
        dtype="f16",
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION_ADD,
        expansion_search=1,
        enable_key_lookups=False,
    )


@dataclass(frozen=True)
class Graph:
    """A memory-mapped graph."""

    graph: Index

    @classmethod
    def open(cls, folder: Path, dimension: int) -> Graph:
        """Open a graph over vectors of dimension `dimension`."""
        file = folder / GRAPH
        # Without a free handle, usearch corrupts the process: the next file that Annoy opened crashed it. Python raises
        # an error instead, so it opens the file first.
        with file.open("rb"):
            pass
        graph = new_graph(dimension)
        graph.view(str(file))
        return cls(graph)

    def reranked(self, k: int, effort: int) -> int:
        """See `Proposer`."""
        del effort
        return k + _SPARE

    def propose(self, queries: Vectors, limit: int, effort: int) -> Sequence[Positions]:
        """See `Proposer`."""
        count = max(limit, effort)
        return [self.graph.search(query, count, threads=1).keys[:limit].astype(np.intp) for query in queries]


@dataclass
class HnswEngine:
    """Builds graphs, each in its own process, and opens them memory-mapped."""

    target: float
    threads: int = 1
    process: BuildProcess = field(default_factory=BuildProcess)

    def build(self, vectors_file: Path, folder: Path, progress: Progress) -> tuple[str, ...]:
        """See `Engine`."""
        self.process.run("hnsw", vectors_file, folder, (self.target, self.threads), progress)
        return GRAPH, PLAN_FILE

    def open(self, vectors: Vectors, folder: Path) -> ApproximateSearcher:
        """See `Engine`."""
        return ApproximateSearcher(vectors, Graph.open(folder, vectors.shape[1]), Plan.read(folder))

    def stop(self) -> None:
        """See `Engine`."""
        self.process.stop()
