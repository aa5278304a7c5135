"""Count the images that a search finds, at its own cut and at 101 others, so that a slider moves without calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.backends.embedding import Logistic, TextQuery, Vector
from gateway.backends.filters import in_store
from gateway.backends.models import ModelCatalog
from gateway.backends.vector_index import VectorIndex
from gateway.collections.names import errors_of
from gateway.collections.placements import Placement, Placements
from gateway.search.cuts import farthest
from gateway.search.query_vectors import ImageSource, QueryVectors
from gateway.search.search import Scope, stored_ids

# As float32, because that is how a request says its cut.
CUTS = tuple(float(np.float32(percent / 100)) for percent in range(101))


@dataclass(frozen=True)
class MatchCounts:
    """The number of matches at a search's cut, that cut, and the numbers at each of `CUTS`."""

    matches: int
    min_relevance: float
    at_cuts: tuple[int, ...]


class Counting:
    """Counts what `Search` finds, exactly: the index compares every vector."""

    def __init__(self, vectors: QueryVectors, index: VectorIndex, models: ModelCatalog, placements: Placements) -> None:
        self._vectors = vectors
        self._index = index
        self._models = models
        self._placements = placements

    async def by_text(self, query: TextQuery, scope: Scope) -> MatchCounts:
        """Count the images that `Search.by_text` finds."""

        async def count(placement: Placement) -> MatchCounts:
            model_id, text = await self._vectors.of_text(query, placement.model_id)
            calibration = (await self._models.describe(model_id)).calibration
            cut = calibration.default_min_relevance if scope.min_relevance is None else scope.min_relevance
            return await self._count(scope, placement, text.vector, calibration.text_to_image, cut)

        return await self._placements.using(scope.collection, count)

    async def by_images(self, images: Sequence[ImageSource], words: TextQuery, scope: Scope) -> MatchCounts:
        """Count the images that `Search.by_images` finds."""

        async def count(placement: Placement) -> MatchCounts:
            vector, _ = await self._vectors.of_images_and_words(images, words, scope.collection, placement, None)
            curve = (await self._models.describe(placement.model_id)).calibration.image_to_image
            return await self._count(
                scope, placement, vector, curve, scope.min_relevance or 0.0, left_out=stored_ids(images)
            )

        return await self._placements.using(scope.collection, count)

    async def _count(
        self,
        scope: Scope,
        placement: Placement,
        vector: Vector,
        curve: Logistic,
        cut: float,
        *,
        left_out: frozenset[str] = frozenset(),
    ) -> MatchCounts:
        distances = [farthest(curve, each) for each in (*CUTS, cut)]
        reached = sorted({each for each in distances if each is not None})
        with errors_of(scope.collection):
            _, counts = await self._index.count(
                placement.index,
                filter_=in_store(scope.filter) if scope.filter else None,
                near=(placement.model_id, vector),
                distances=reached,
                excluded=left_out,
            )
        count_at: dict[float | None, int] = {None: 0, **dict(zip(reached, counts, strict=True))}
        *at_cuts, matches = (count_at[each] for each in distances)
        return MatchCounts(matches, cut, tuple(at_cuts))
