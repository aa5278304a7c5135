"""Turn queries, words or images, into vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.backends.embedding import (
    Crop,
    Embedder,
    ImageEmbedding,
    ImageInput,
    RefusedText,
    TextEmbedding,
    TextEmbeddings,
    TextQuery,
    Vector,
)
from gateway.backends.models import ModelCatalog
from gateway.backends.refusals import InvalidCrop, Part, Refused, UnknownWords
from gateway.collections.gallery import Gallery
from gateway.collections.placements import Placement
from gateway.errors import CancelledTerms
from gateway.search.text_vectors import TextVectors

# Below this norm, images plus terms are rounding error, not a direction.
_NO_DIRECTION = 1e-4


@dataclass(frozen=True)
class ImageSource:
    """An image to search with: its bytes, or the id of a stored one (the other is None); perhaps a part of it.

    A negative weight steers away from it.
    """

    content: bytes | None = None
    image_id: str | None = None
    crop: Crop | None = None
    weight: float = 1.0


class QueryVectors:
    """Turns queries into vectors."""

    def __init__(self, embedder: Embedder, models: ModelCatalog, gallery: Gallery) -> None:
        self._embedder = embedder
        self._texts = TextVectors(embedder)
        self._models = models
        self._gallery = gallery

    async def of_text(self, query: TextQuery, model_id: str = "") -> tuple[str, TextEmbedding]:
        """Return the model's id and the embedding of a query; raise `Refused` about the text."""
        answer = await self._texts.embed([query], model_id)
        result = answer.results[0]
        if isinstance(result, RefusedText):
            raise result.error.about(Part.TEXT)
        return answer.model_id, result

    async def of_each(self, queries: Sequence[TextQuery], model_id: str) -> TextEmbeddings:
        """Return the embeddings of several queries; those of which no word is known stay `RefusedText`.

        Raises:
            Refused: A query was refused for another reason, or no query has a known word.
        """
        answer = await self._texts.embed(queries, model_id)
        refused = [result for result in answer.results if isinstance(result, RefusedText)]
        for number, result in enumerate(answer.results):
            if isinstance(result, RefusedText) and not isinstance(result.error, UnknownWords):
                raise result.error.about(Part.TEXT, number)
        if len(refused) == len(queries):
            raise refused[0].error.about(Part.TEXT)
        return answer

    async def of_image(self, source: ImageSource, collection: str, placement: Placement) -> Vector:
        """Return an image's vector by the placement's model; that of a stored, whole image is looked up."""
        if source.image_id is not None and source.crop is None:
            return await self._gallery.vector(collection, placement, source.image_id)
        if source.image_id is not None:
            content = await self._gallery.pixels(collection, source.image_id)
            return (await self._embed(content, source.crop, placement.model_id))[1]
        return (await self.of_content(source, placement.model_id))[1]

    async def of_mean(self, image_ids: Sequence[str], collection: str, placement: Placement) -> Vector:
        """Return the direction of the mean of stored images' vectors, made by the placement's model.

        Raises:
            ImageNotFound: The collection lacks an image.
            CancelledTerms: The images point in opposite directions.
        """
        vectors = await self._gallery.vectors(collection, placement, image_ids)
        return _combine([1.0] * len(vectors), vectors, None)

    async def of_images_and_words(
        self,
        images: Sequence[ImageSource],
        words: TextQuery,
        collection: str,
        placement: Placement,
        known: Vector | None,
    ) -> tuple[Vector, TextEmbedding | None]:
        """Return the vector of images and words, and how the words were understood; None if there are none.

        It is normalised(Σ weight · image + Σ weight · term), each a unit vector: a term of weight 1 counts as much as
        an image of weight 1. If it is `known`, from an earlier page, only the words are embedded.

        Raises:
            Refused: An image or the words were refused; `number` counts the images.
        """

        async def of_images() -> list[Vector]:
            each = (self._of_numbered(number, image, collection, placement) for number, image in enumerate(images))
            return list(await asyncio.gather(*each))

        async def of_words() -> TextEmbedding | None:
            if words == TextQuery():
                return None
            return (await self.of_text(words, placement.model_id))[1]

        if known is not None:
            return known, await of_words()
        vectors, text = await asyncio.gather(of_images(), of_words())
        if text is None and len(images) == 1 and images[0].weight > 0:
            return vectors[0], None
        return _combine([image.weight for image in images], vectors, text), text

    async def of_content(self, source: ImageSource, model_id: str = "") -> tuple[str, Vector]:
        """Return the model's id and the vector of an image that came as bytes."""
        content = await self._models.require_size(source.content or b"")
        return await self._embed(content, source.crop, model_id)

    async def _of_numbered(self, number: int, image: ImageSource, collection: str, placement: Placement) -> Vector:
        try:
            return await self.of_image(image, collection, placement)
        except Refused as error:
            raise error.about(error.part, number) if error.part else error from error

    async def _embed(self, content: bytes, crop: Crop | None, model_id: str) -> tuple[str, Vector]:
        answer = await self._embedder.embed_images([ImageInput(content, crop)], model_id)
        result = answer.results[0]
        if not isinstance(result, ImageEmbedding):
            raise result.about(Part.CROP if isinstance(result, InvalidCrop) else Part.IMAGE)
        return answer.model_id, result.vector


def _combine(weights: Sequence[float], vectors: Sequence[Vector], text: TextEmbedding | None) -> Vector:
    """Return normalised(Σ weight · image + Σ weight · term)."""
    total = np.asarray(weights) @ np.stack(vectors).astype(np.float64)
    if text is not None:
        total += text.length * text.vector
    length = float(np.linalg.norm(total))
    if not length > _NO_DIRECTION:
        raise CancelledTerms
    return (total / length).astype(np.float32)
