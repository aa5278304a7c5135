"""Searching with an engine that only proposes: its candidates are ranked by their float32 vectors, which decide.

Contract: as `Searcher`. Where the plan says that comparing all rows is as good, or where too few of the candidates
count (deleted rows crowd out the others), all rows are compared; so an answer is never short.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

from index_service.engines.contract import Found, Tuned
from index_service.engines.planning import Plan
from index_service.vectors import Mask, Positions, Vectors, nearest, nearest_of

__all__ = ["ApproximateSearcher", "Proposer"]


# Most searches ask for the same; page sizes and recalls that people choose are few.
_REMEMBERED = 256


class Proposer(Protocol):
    """What an engine's files can do; knows nothing of which rows count."""

    def reranked(self, k: int, effort: int) -> int:
        """Return how many of its proposals must be compared, so that its own arithmetic costs no neighbour."""
        ...

    def propose(self, queries: Vectors, limit: int, effort: int) -> Sequence[Positions]:
        """Proposes, for each query (m, dimension), up to `limit` positions, nearest first as far as it can tell."""
        ...


class ApproximateSearcher:
    """An engine's files over the rows of `vectors`, with the plan that was made for them."""

    def __init__(self, vectors: Vectors, proposer: Proposer, plan: Plan) -> None:
        self._vectors = vectors
        self._proposer = proposer
        self._plan = plan
        self._effort = lru_cache(_REMEMBERED)(plan.effort)
        self._held_out: Positions = np.array(plan.held_out, dtype=np.intp)
        self._held_out_vectors: Vectors = vectors[self._held_out]  # a copy: they lie scattered

    def nearest(self, queries: Vectors, k: int, counting: Mask, recall: float) -> Found:
        """See `Searcher`."""
        count = int(np.count_nonzero(counting))
        # Where a tenth of the rows counts, one must look as deep as for ten times as many.
        depth = k * len(counting) // max(1, count)
        effort = None if recall >= 1 or count <= k else self._effort(depth, recall, len(queries))
        if effort is None:
            return Found(nearest(queries, k, self._vectors, counting), compared_all=True)
        kept = self._proposer.reranked(k, effort)
        limit = min(max(effort, kept), kept + len(counting) - count)
        proposals = self._proposer.propose(queries, limit, effort)
        held_out = self._held_out_of(queries, k, counting)
        found = []
        for query, proposed, beside in zip(queries, proposals, held_out, strict=True):
            counted = proposed[counting[proposed]][:kept]
            if len(counted) + len(beside) < k:
                found.append(nearest(query[None, :], k, self._vectors, counting)[0])
            else:
                found.append(np.concatenate([nearest_of(query, k, self._vectors, counted), beside]))
        return Found(found, compared_all=False)

    def _held_out_of(self, queries: Vectors, k: int, counting: Mask) -> Sequence[Positions]:
        """Return the nearest of the rows that the engine's files leave out, all of which are compared."""
        if not len(self._held_out):
            return [self._held_out] * len(queries)
        near = nearest(queries, k, self._held_out_vectors, counting[self._held_out])
        return [self._held_out[positions] for positions in near]

    def tuned(self) -> Tuned:
        """See `Searcher`."""
        return self._plan.tuned()
