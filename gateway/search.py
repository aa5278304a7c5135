"""Searches of images and of words: a query becomes a vector, its neighbours become matches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.collection_names import alias_of, errors_of
from gateway.embedding import (
    Crop,
    Embedder,
    ImageEmbedding,
    ImageInput,
    Logistic,
    RefusedText,
    Term,
    TextEmbedding,
    TextEmbeddings,
    TextQuery,
    UnknownWord,
    Vector,
)
from gateway.errors import CancelledTerms, InvalidCrop, UnknownWords, WordsNotReady
from gateway.filters import Filter, in_store
from gateway.gallery import Gallery
from gateway.images import StoredImage
from gateway.models import ModelCatalog
from gateway.placements import Placement, Placements
from gateway.vector_index import MAX_NEIGHBORS, Neighbor, VectorIndex
from gateway.words import WordsIndex

# Below this length what is left of an image less its words is rounding, not a direction.
_NO_DIRECTION = 1e-4


@dataclass(frozen=True)
class ImageSource:
    """An image to search with: its bytes, or the id of a stored one (the other is None); perhaps a part of it."""

    content: bytes | None = None
    image_id: str | None = None
    crop: Crop | None = None


@dataclass(frozen=True)
class Page:
    """Which of the neighbours, by rank: `size` from `offset` on. No page reaches beyond `MAX_NEIGHBORS`."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """Returns the rank after the last."""
        return self.offset + self.size


@dataclass(frozen=True)
class Scope:
    """Where to search for images, and what to leave out. `min_relevance` None means the default of the search."""

    collection: str
    filter: Filter | None = None
    min_relevance: float | None = None


@dataclass(frozen=True)
class ImageMatch:
    """An image that was found."""

    image: StoredImage
    distance: float
    similarity: float
    relevance: float


@dataclass(frozen=True)
class WordMatch:
    """A word that was found."""

    word: str
    distance: float
    similarity: float


@dataclass(frozen=True)
class ImageMatches:
    """A page of matches, nearest first; `next_offset` is None on the last one."""

    matches: tuple[ImageMatch, ...]
    next_offset: int | None
    unknown_words: tuple[UnknownWord, ...]


@dataclass(frozen=True)
class WordMatches:
    """A page of words, nearest first; `next_offset` is None on the last one."""

    words: tuple[WordMatch, ...]
    next_offset: int | None
    unknown_words: tuple[UnknownWord, ...]


class QueryVectors:
    """Turns what a caller asks for into vectors."""

    def __init__(self, embedder: Embedder, models: ModelCatalog, gallery: Gallery) -> None:
        self._embedder = embedder
        self._models = models
        self._gallery = gallery

    async def of_text(self, query: TextQuery, field: str, model_id: str = "") -> tuple[str, TextEmbedding]:
        """Returns the model's id and the embedding of a query; raises `Refused` about the caller's field."""
        answer = await self._embedder.embed_texts([query], model_id)
        result = answer.results[0]
        if isinstance(result, RefusedText):
            raise result.error.at(field)
        return answer.model_id, result

    async def of_each(self, queries: Sequence[TextQuery], field: str, model_id: str) -> TextEmbeddings:
        """Returns the embeddings of several queries; those of which no word is known stay `RefusedText`.

        Raises:
            Refused: another reason refuses one of them, or none of all has a word that is known.
        """
        answer = await self._embedder.embed_texts(queries, model_id)
        refused = [result for result in answer.results if isinstance(result, RefusedText)]
        for number, result in enumerate(answer.results):
            if isinstance(result, RefusedText) and not isinstance(result.error, UnknownWords):
                raise result.error.at(f"{field}[{number}]")
        if len(refused) == len(queries):
            raise refused[0].error.at(field)
        return answer

    async def of_image(self, source: ImageSource, collection: str, placement: Placement) -> Vector:
        """Returns an image's vector by the placement's model; that of a stored, whole image is looked up."""
        if source.image_id is not None and source.crop is None:
            return await self._gallery.vector(collection, placement, source.image_id)
        if source.image_id is not None:
            content = await self._gallery.original(collection, source.image_id)
            return (await self._embed(content, source.crop, placement.model_id))[1]
        return (await self.of_content(source, placement.model_id))[1]

    async def of_content(self, source: ImageSource, model_id: str = "") -> tuple[str, Vector]:
        """Returns the model's id and the vector of an image that came as bytes."""
        content = await self._models.require_size(source.content or b"")
        return await self._embed(content, source.crop, model_id)

    async def _embed(self, content: bytes, crop: Crop | None, model_id: str) -> tuple[str, Vector]:
        answer = await self._embedder.embed_images([ImageInput(content, crop)], model_id)
        result = answer.results[0]
        if not isinstance(result, ImageEmbedding):
            raise result.at("crop" if isinstance(result, InvalidCrop) else "content")
        return answer.model_id, result.vector


class Search:
    """Finds images, with the model of their collection, and words, with the model that serves."""

    def __init__(
        self,
        vectors: QueryVectors,
        index: VectorIndex,
        models: ModelCatalog,
        placements: Placements,
        words: WordsIndex,
    ) -> None:
        self._vectors = vectors
        self._index = index
        self._models = models
        self._placements = placements
        self._words = words

    async def by_text(self, query: TextQuery, field: str, scope: Scope, page: Page) -> ImageMatches:
        """Finds the images nearest to words; by default those that the model calls relevant."""

        async def find(placement: Placement) -> ImageMatches:
            model_id, text = await self._vectors.of_text(query, field, placement.model_id)
            calibration = (await self._models.describe(model_id)).calibration
            threshold = calibration.default_min_relevance if scope.min_relevance is None else scope.min_relevance
            matches, next_offset = await self._images(
                scope, page, text.vector, model_id, calibration.text_to_image, threshold
            )
            return ImageMatches(matches, next_offset, text.unknown_words)

        return await self._placements.using(scope.collection, find)

    async def by_image(self, source: ImageSource, terms: Sequence[Term], scope: Scope, page: Page) -> ImageMatches:
        """Finds the images nearest to an image, or to an image and words; by default all of them.

        The query is normalised(image + Σ weight · term), each a unit vector: a term of weight 1 counts as much as the
        image. A stored image is left out of its own matches.
        """
        each = [TextQuery(terms=(Term(term.text),)) for term in terms]

        async def find(placement: Placement) -> ImageMatches:
            model_id = placement.model_id
            looking = self._vectors.of_image(source, scope.collection, placement)
            unknown: tuple[UnknownWord, ...] = ()
            if terms:
                vector, texts = await asyncio.gather(looking, self._vectors.of_each(each, "terms", model_id))
                vector = _combine(vector, terms, texts)
                unknown = tuple(word for result in texts.results for word in result.unknown_words)
            else:
                vector = await looking
            curve = (await self._models.describe(model_id)).calibration.image_to_image
            matches, next_offset = await self._images(
                scope, page, vector, model_id, curve, scope.min_relevance or 0.0, left_out=source.image_id
            )
            return ImageMatches(matches, next_offset, unknown)

        return await self._placements.using(scope.collection, find)

    async def similar_words(self, query: TextQuery, field: str, page: Page) -> WordMatches:
        """Finds the words nearest to words, without those of the query."""
        model_id, text = await self._vectors.of_text(query, field)
        try:
            return await self._similar(text, model_id, page)
        except WordsNotReady:
            # Another model may serve by now, and the words of the one before have been dropped.
            newer, text = await self._vectors.of_text(query, field)
            if newer == model_id:
                raise
        return await self._similar(text, newer, page)

    async def _similar(self, text: TextEmbedding, model_id: str, page: Page) -> WordMatches:
        own = set(text.words)
        found = await self._words.nearest(
            text.vector, min(page.end + 1 + len(own), MAX_NEIGHBORS), model_id, taggable=False
        )
        others = [each for each in found if each.id not in own]
        words = tuple(WordMatch(each.id, each.distance, each.similarity) for each in others[page.offset : page.end])
        return WordMatches(words, page.end if len(others) > page.end else None, text.unknown_words)

    async def _images(
        self,
        scope: Scope,
        page: Page,
        vector: Vector,
        model_id: str,
        curve: Logistic,
        min_relevance: float,
        *,
        left_out: str | None = None,
    ) -> tuple[tuple[ImageMatch, ...], int | None]:
        """Returns a page of the images nearest to a vector, and where the next begins."""
        name = alias_of(scope.collection)
        k = min(page.end + 1 + (left_out is not None), MAX_NEIGHBORS)
        filter_ = in_store(scope.filter) if scope.filter else None
        # A page further down needs the attributes of its own matches only, not of all before it.
        first_page = page.offset == 0
        with errors_of(scope.collection):
            neighbors = await self._index.search(name, vector, k, model_id, filter_=filter_, attributes=first_page)
            relevant = [
                each for each in neighbors if each.id != left_out and curve.relevance(each.similarity) >= min_relevance
            ]
            shown = relevant[page.offset : page.end]
            found: dict[str, Neighbor] = {each.id: each for each in shown}
            if not first_page and shown:
                items = await self._index.get_items(name, list(found))
                found = {item.id: Neighbor(item.id, found[item.id].distance, item.attributes) for item in items}
        matches = tuple(
            ImageMatch(
                StoredImage.from_item(scope.collection, each),
                each.distance,
                each.similarity,
                curve.relevance(each.similarity),
            )
            for each in found.values()
        )
        return matches, page.end if len(relevant) > page.end else None


def _combine(vector: Vector, terms: Sequence[Term], texts: TextEmbeddings) -> Vector:
    """Returns normalised(image + Σ weight · term); terms that are not known do not count."""
    total = vector.astype(np.float64)
    for term, result in zip(terms, texts.results, strict=True):
        if isinstance(result, TextEmbedding):
            total = total + term.weight * result.vector
    length = float(np.linalg.norm(total))
    if not length > _NO_DIRECTION:
        raise CancelledTerms
    return (total / length).astype(np.float32)
