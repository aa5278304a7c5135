"""Translates between messages and the domain. Only this file and the servicer use the service's messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from google.protobuf import duration_pb2
from numpy.typing import NDArray
from semsearch.embedder.v1 import embedder_service_pb2 as pb
from semsearch.v1 import query_pb2

from embedder_service.errors import EmbedderError
from embedder_service.image_embedding import ImageVector, Timings
from embedder_service.image_input import ImageInput
from embedder_service.recipes import OpenedRecipe
from embedder_service.settings import EmbedderSettings
from embedder_service.statuses import ERRORS
from model.bundle.manifest import Manifest, calibration_message
from model.bundle.reading import WordTable
from model.errors import InvalidCrop, ModelError, QueryError, UnknownWords
from model.images import CropBox
from model.text.embedding import TextVector, UnknownWord
from model.text.query import Term, check_terms, listed_term, parse
from serving.errors import InvalidField, to_status

MAX_QUERIES = 1_000
MAX_IMAGES = 256
MAX_THUMBNAIL_EDGE = 4_096


def check_count(count: int, most: int, field: str) -> None:
    """Raise InvalidField if a batch is empty or too large."""
    if not 1 <= count <= most:
        raise InvalidField(field, f"must have 1 to {most:,} entries; it has {count:,}.")


def to_terms(query: pb.TextQuery) -> tuple[Term, ...]:
    """Return the terms of a query.

    Raises:
        InvalidField: it has both forms.
        QueryError: see `parse` and `check_terms`.
    """
    if query.raw and query.terms:
        raise InvalidField("queries", "a query has either `raw` or `terms`, not both.")
    if query.raw:
        return parse(query.raw)
    return check_terms([_term(term) for term in query.terms])


def from_recipe(opened: OpenedRecipe) -> pb.Recipe:
    """Return the description of a recipe."""
    return pb.Recipe(
        name=opened.recipe.name,
        model_id=opened.manifest.id,
        display_name=opened.manifest.display_name,
        download_bytes=sum(file.size for file in opened.recipe.fetched),
    )


def _term(term: query_pb2.Term) -> Term:
    return listed_term(term.text, term.weight if term.HasField("weight") else 1.0)


def from_text(result: TextVector | QueryError) -> pb.TextEmbedding:
    """Return a query's vector or error as a message."""
    if isinstance(result, QueryError):
        suggestions = result.suggestions if isinstance(result, UnknownWords) else {}
        unknown = [_unknown(UnknownWord(word, near)) for word, near in suggestions.items()]
        return pb.TextEmbedding(status=to_status(result, ERRORS), unknown_words=unknown)
    return pb.TextEmbedding(
        vector=_packed(result.vector),
        understood_terms=[
            query_pb2.UnderstoodTerm(text=term.text, words=term.words, weight=term.weight) for term in result.understood
        ],
        length=result.length,
        unknown_words=[_unknown(word) for word in result.unknown],
    )


def _unknown(word: UnknownWord) -> query_pb2.UnknownWord:
    return query_pb2.UnknownWord(word=word.word, suggestions=word.suggestions)


def to_image(image: pb.ImageInput) -> ImageInput | InvalidCrop:
    """Return an image to embed, or the error of its crop box.

    Raises:
        InvalidField: the thumbnail's edge is out of range.
    """
    if not 0 <= image.thumbnail_edge <= MAX_THUMBNAIL_EDGE:
        raise InvalidField("thumbnail_edge", f"must be 0 to {MAX_THUMBNAIL_EDGE:,}; it is {image.thumbnail_edge}.")
    crop = None
    if image.HasField("crop"):
        try:
            crop = CropBox(image.crop.left, image.crop.top, image.crop.right, image.crop.bottom)
        except InvalidCrop as error:
            return error
    return ImageInput(image.content, crop, image.thumbnail_edge)


def from_image(result: ImageVector | EmbedderError | ModelError) -> pb.ImageEmbedding:
    """Return an image's vector or error as a message."""
    if not isinstance(result, ImageVector):
        return pb.ImageEmbedding(status=to_status(result, ERRORS))
    return pb.ImageEmbedding(
        vector=_packed(result.vector),
        width=result.width,
        height=result.height,
        media_type=result.media_type,
        thumbnail=result.thumbnail,
        metadata=pb.PhotoMetadata(
            taken_time=result.metadata.taken_time,
            camera=result.metadata.camera,
            lens=result.metadata.lens,
            latitude=result.metadata.latitude,
            longitude=result.metadata.longitude,
            orientation=result.metadata.orientation,
        ),
        perceptual_hash=result.perceptual_hash,
    )


def _packed(vectors: NDArray[np.float32]) -> bytes:
    return vectors.astype("<f4", copy=False).tobytes()


def from_timings(timings: Sequence[Timings]) -> pb.Timings:
    """Return the longest time of each kind."""
    return pb.Timings(
        decode=_duration(max((each.decode for each in timings), default=0.0)),
        queue=_duration(max((each.queue for each in timings), default=0.0)),
        model=_duration(max((each.model for each in timings), default=0.0)),
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration


def from_words(table: WordTable, first: int, count: int, model_id: str) -> pb.StreamWordsResponse:
    """Return the next words of the vocabulary, at most `count`, their vectors scaled to length 1."""
    rows: NDArray[np.float32] = table.vectors[first : first + count].astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    taggable = table.taggable[first : first + count].tolist()
    words = [
        pb.Word(text=text, rank=rank, taggable=may)
        for rank, (text, may) in enumerate(zip(table.words[first : first + count], taggable, strict=True), first)
    ]
    return pb.StreamWordsResponse(model_id=model_id, words=words, vectors=_packed(rows))


def from_manifest(manifest: Manifest, active_id: str) -> pb.Model:
    """Return a model's description."""
    return pb.Model(
        id=manifest.id,
        display_name=manifest.display_name,
        dimension=manifest.dimension,
        input_size=manifest.input_size,
        word_count=manifest.word_count,
        calibration=calibration_message(manifest.calibration),
        metrics=manifest.metrics,
        active=manifest.id == active_id,
    )


def limits(settings: EmbedderSettings) -> pb.Limits:
    """Return the limits of one call."""
    return pb.Limits(
        max_queries=MAX_QUERIES,
        max_images=MAX_IMAGES,
        max_image_bytes=settings.max_image_bytes,
        max_image_pixels=settings.max_image_pixels,
        max_queued_images=settings.max_queued_images,
        max_batch_images=settings.max_batch_images,
    )
