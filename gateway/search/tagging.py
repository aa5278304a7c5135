"""Names what an image shows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gateway.backends.embedding import TextEmbedding, TextEmbeddings, TextQuery, UnknownWord, Vector
from gateway.backends.models import ModelCatalog
from gateway.collections.placements import Placement, Placements
from gateway.errors import WordsNotReady
from gateway.search.query_vectors import ImageSource, QueryVectors
from gateway.search.words import WordsIndex


@dataclass(frozen=True)
class Tag:
    """A word for an image."""

    word: str
    distance: float
    similarity: float
    relevance: float


@dataclass(frozen=True)
class Tags:
    """Tags, nearest first."""

    tags: tuple[Tag, ...]
    unknown_words: tuple[UnknownWord, ...] = ()


# An image, or the ids of stored images, which are named by the mean of their vectors.
Taggable: TypeAlias = ImageSource | tuple[str, ...]


class Tagging:
    """Names images with the whole vocabulary, or with a caller's labels; also what several images have in common.

    A stored image is named by the words of its collection's model, bytes by those of the model that serves.

    Relevance is the model's curve for tags in both cases: it says how likely the word fits the image, whatever the
    other labels are. (A softmax over the labels was rejected: it calls the best of three wrong labels right.)
    """

    def __init__(self, vectors: QueryVectors, models: ModelCatalog, placements: Placements, words: WordsIndex) -> None:
        self._vectors = vectors
        self._models = models
        self._placements = placements
        self._words = words

    async def tag(self, source: Taggable, collection: str, max_tags: int, min_relevance: float | None) -> Tags:
        """Return words of the vocabulary that name what is seen; by default those that the model calls relevant.

        They are chosen to say different things (see `tag_choice`).

        Raises:
            WordsNotReady: the words index is not filled yet.
        """
        model_id, vector = await self._vector(source, collection)
        try:
            found = await self._words.nearest_tags(vector, max_tags, model_id)
        except WordsNotReady:
            # The image may have another model now, and the previous one's words may be gone.
            self._placements.forget(collection)
            newer, vector = await self._vector(source, collection)
            if newer == model_id:
                raise
            model_id, found = newer, await self._words.nearest_tags(vector, max_tags, newer)
        model = await self._models.describe(model_id)
        curve = model.calibration.tags
        threshold = model.calibration.default_min_tag_relevance if min_relevance is None else min_relevance
        tags = (Tag(each.id, each.distance, each.similarity, curve.relevance(each.similarity)) for each in found)
        return Tags(tuple(tag for tag in tags if tag.relevance >= threshold))

    async def choose(
        self, source: Taggable, collection: str, labels: Sequence[str], max_tags: int, min_relevance: float
    ) -> Tags:
        """Rank the caller's labels by their nearness to the image; labels that are not understood are named apart.

        A label is parsed like a query, so that "a photo of a dog" means "dog"; the answer has it as written.
        """
        labels = list(dict.fromkeys(labels))
        vector, texts = await self._both(source, collection, [TextQuery(raw=label) for label in labels])
        curve = (await self._models.describe(texts.model_id)).calibration.tags
        tags = []
        for label, result in zip(labels, texts.results, strict=True):
            if isinstance(result, TextEmbedding):
                similarity = float(np.clip(np.dot(vector, result.vector), -1.0, 1.0))
                distance = float(np.sqrt(2.0 - 2.0 * similarity))
                tags.append(Tag(label, distance, similarity, curve.relevance(similarity)))
        tags.sort(key=lambda tag: -tag.similarity)
        unknown = tuple(word for result in texts.results for word in result.unknown_words)
        return Tags(tuple(tag for tag in tags if tag.relevance >= min_relevance)[:max_tags], unknown)

    async def _vector(self, source: Taggable, collection: str) -> tuple[str, Vector]:
        """Return an image's model and its vector."""
        if isinstance(source, ImageSource) and source.image_id is None:
            return await self._vectors.of_content(source)

        async def look(placement: Placement) -> tuple[str, Vector]:
            return placement.model_id, await self._of_stored(source, collection, placement)

        return await self._placements.using(collection, look)

    async def _both(
        self, source: Taggable, collection: str, labels: Sequence[TextQuery]
    ) -> tuple[Vector, TextEmbeddings]:
        """Return the vectors of an image and of labels, of one model."""
        if isinstance(source, ImageSource) and source.image_id is None:
            (model_id, vector), texts = await asyncio.gather(
                self._vectors.of_content(source), self._vectors.of_each(labels, "")
            )
            if model_id != texts.model_id:  # the serving model has just changed
                _, vector = await self._vectors.of_content(source, texts.model_id)
            return vector, texts

        async def look(placement: Placement) -> tuple[Vector, TextEmbeddings]:
            return await asyncio.gather(
                self._of_stored(source, collection, placement),
                self._vectors.of_each(labels, placement.model_id),
            )

        return await self._placements.using(collection, look)

    async def _of_stored(self, source: Taggable, collection: str, placement: Placement) -> Vector:
        if isinstance(source, ImageSource):
            return await self._vectors.of_image(source, collection, placement)
        return await self._vectors.of_mean(source, collection, placement)
