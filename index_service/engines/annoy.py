"""The Annoy engine: a forest of random projection trees (github.com/spotify/annoy), searched approximately.

Annoy only proposes: its candidates are ranked again by exact distances, and where too few of them count (deleted rows
crowd out the others) the rows are scanned. How many nodes a search looks at grows with k; measured on 28,000 real word
vectors of 300 dimensions with 50 trees:

    k       search_k   recall   ms a query
    10         8,000     0.95          1.5
    100       20,000     0.95          3.0
    1,000     50,000      all            —
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from annoy import AnnoyIndex

from index_service.engines.contract import Progress
from index_service.errors import BuildFailed, StorageFull
from index_service.vectors import Mask, Positions, Vectors, nearest

FOREST = "forest.ann"
TREES = 50
_SEARCH_K_AT_10 = 8_000
_SEARCH_K_GROWTH = 0.4
# From this share of the rows on, scanning all of them is not slower (a product uses all cores, Annoy one).
_SCAN_SHARE = 0.5
# Annoy ranks by float32 arithmetic of its own: near the k-th place its order may be off by a few.
_SPARE = 64


def search_k(k: int) -> int:
    """Returns how many nodes a search for `k` neighbours looks at."""
    return int(_SEARCH_K_AT_10 * max(1.0, k / 10) ** _SEARCH_K_GROWTH)


@dataclass(frozen=True)
class AnnoySearcher:
    """A forest over the rows of `vectors`."""

    vectors: Vectors
    forest: AnnoyIndex

    def compares_all(self, k: int, counting: Mask) -> bool:
        """See `Searcher`: where that costs no more."""
        return self._nodes(k, counting) >= _SCAN_SHARE * len(self.vectors)

    def nearest(self, queries: Vectors, k: int, counting: Mask) -> Sequence[Positions]:
        """See `Searcher`."""
        if self.compares_all(k, counting):
            return nearest(queries, k, self.vectors, counting)
        nodes = self._nodes(k, counting)
        count = int(np.count_nonzero(counting))
        return [self._candidates(query, k, nodes, counting, count) for query in queries]

    def _nodes(self, k: int, counting: Mask) -> int:
        """Returns how many nodes to look at: where a tenth of the rows counts, one must look ten times as deep."""
        count = max(1, int(np.count_nonzero(counting)))
        return search_k(k * len(counting) // count)

    def _candidates(self, query: Vectors, k: int, nodes: int, counting: Mask, count: int) -> Positions:
        wanted = min(nodes, k + len(counting) - count + _SPARE)
        proposed = np.array(self.forest.get_nns_by_vector(query.tolist(), wanted, nodes), dtype=np.intp)
        found = proposed[counting[proposed]][: k + _SPARE]
        if len(found) >= min(k, count):
            return found
        return nearest(query[None, :], k, self.vectors, counting)[0]


@dataclass
class AnnoyEngine:
    """Builds forests, each in a process of its own, and opens them memory-mapped."""

    threads: int = 1
    trees: int = TREES
    _stopped: bool = False
    _process: subprocess.Popen[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def build(self, vectors_file: Path, folder: Path, progress: Progress) -> tuple[str, ...]:
        """See `Engine`."""
        arguments = [str(vectors_file), str(folder / FOREST), str(self.trees), str(self.threads)]
        with self._lock:
            if self._stopped:
                raise BuildFailed("The service is stopping.")
            # A group of its own: Ctrl-C is for the service, which ends the build.
            self._process = process = subprocess.Popen(  # noqa: S603 — our own interpreter, our own module
                [sys.executable, "-m", "index_service.engines.annoy_build", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        with process:
            if process.stdout is None or process.stderr is None:  # for the type checker: both are pipes
                raise BuildFailed("No pipe.")
            for line in process.stdout:
                progress(int(line))
            complaint = process.stderr.read().decode(errors="replace").strip()
        self._process = None
        if process.returncode == -signal.SIGBUS or "No space left" in complaint:
            raise StorageFull(folder, "no room for a forest")
        if process.returncode != 0:
            last = complaint.splitlines()[-1:] or ["it was ended"]
            raise BuildFailed(f"Building a forest in {folder} ended with status {process.returncode}: {last[0]}")
        return (FOREST,)

    def open(self, vectors: Vectors, folder: Path) -> AnnoySearcher:
        """See `Engine`."""
        forest = AnnoyIndex(vectors.shape[1], "angular")
        forest.load(str(folder / FOREST))
        return AnnoySearcher(vectors, forest)

    def stop(self) -> None:
        """See `Engine`."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()
