"""Search with an engine that only proposes candidates; these are ranked by their float32 vectors.

Contract: as `Searcher`. All rows are compared if the plan finds that as good, or if too few candidates are eligible
(deleted rows displace the others), so an answer is never short.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

from index_service.engines.contract import Found, Tuned
from index_service.engines.planning import Plan
from index_service.vectors import Mask, Positions, Vectors, nearest, nearest_of

# Few page sizes and recalls are in use, so most searches have the same ones.
_CACHED_EFFORTS = 256


class Proposer(Protocol):
    """The opened files of an engine; it does not know which rows are eligible."""

    def reranked(self, k: int, effort: int) -> int:
        """Return how many of its proposals must be reranked, so that no neighbour is lost to its own arithmetic."""
        ...

    def propose(self, queries: Vectors, limit: int, effort: int) -> Sequence[Positions]:
        """Propose, for each query (m, dimension), up to `limit` positions, approximately nearest first."""
        ...


class ApproximateSearcher:
    """An engine's files over the rows of `vectors`, with their plan."""

    def __init__(self, vectors: Vectors, proposer: Proposer, plan: Plan) -> None:
        self._vectors = vectors
        self._proposer = proposer
        self._plan = plan
        self._effort = lru_cache(_CACHED_EFFORTS)(plan.effort)
        self._held_out: Positions = np.array(plan.held_out, dtype=np.intp)
        self._held_out_vectors: Vectors = vectors[self._held_out]  # a copy, because they are scattered

    def nearest(self, queries: Vectors, k: int, eligible: Mask, recall: float) -> Found:
        """See `Searcher`."""
        count = int(np.count_nonzero(eligible))
        # If a tenth of the rows is eligible, the search must go as deep as for ten times as many neighbours.
        depth = k * len(eligible) // max(1, count)
        effort = None if recall >= 1 or count <= k else self._effort(depth, recall, len(queries))
        if effort is None:
            return Found(nearest(queries, k, self._vectors, eligible), compared_all=True)
        kept = self._proposer.reranked(k, effort)
        limit = min(max(effort, kept), kept + len(eligible) - count)
        proposals = self._proposer.propose(queries, limit, effort)
        held_out = self._held_out_of(queries, k, eligible)
        found = []
        for query, proposed, from_held_out in zip(queries, proposals, held_out, strict=True):
            candidates = proposed[eligible[proposed]][:kept]
            if len(candidates) + len(from_held_out) < k:
                found.append(nearest(query[None, :], k, self._vectors, eligible)[0])
            else:
                found.append(np.concatenate([nearest_of(query, k, self._vectors, candidates), from_held_out]))
        return Found(found, compared_all=False)

    def _held_out_of(self, queries: Vectors, k: int, eligible: Mask) -> Sequence[Positions]:
        """Return the nearest of the rows that the engine's files leave out, by comparing all of these."""
        if not len(self._held_out):
            return [self._held_out] * len(queries)
        near = nearest(queries, k, self._held_out_vectors, eligible[self._held_out])
        return [self._held_out[positions] for positions in near]

    def tuned(self) -> Tuned:
        """See `Searcher`."""
        return self._plan.tuned()
