"""Messages ↔ the client's own values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any

from google.protobuf import json_format
from semsearch.v1 import (
    gallery_service_pb2,
    image_pb2,
    model_service_pb2,
    query_pb2,
    search_service_pb2,
)

from client.results import (
    Collection,
    Image,
    ImageMatch,
    JsonValue,
    Model,
    Tag,
    UnderstoodTerm,
    UnknownWord,
    UploadResult,
    WordMatch,
)
from client.rpc_errors import from_status


def image(message: image_pb2.Image) -> Image:
    """Translates an image."""
    return Image(
        id=message.id,
        collection=message.collection,
        attributes=json_format.MessageToDict(message.attributes),
        sha256=message.sha256,
        media_type=message.media_type,
        size_bytes=message.size_bytes,
        width=message.width,
        height=message.height,
        create_time=message.create_time.ToDatetime(UTC),
    )


def image_matches(messages: Iterable[search_service_pb2.ImageMatch]) -> tuple[ImageMatch, ...]:
    """Translates matches."""
    return tuple(ImageMatch(image(each.image), each.distance, each.similarity, each.relevance) for each in messages)


def tags(messages: Iterable[search_service_pb2.Tag]) -> tuple[Tag, ...]:
    """Translates tags."""
    return tuple(Tag(each.word, each.distance, each.similarity, each.relevance) for each in messages)


def word_matches(messages: Iterable[search_service_pb2.WordMatch]) -> tuple[WordMatch, ...]:
    """Translates words."""
    return tuple(WordMatch(each.word, each.distance, each.similarity) for each in messages)


def unknown_words(messages: Iterable[query_pb2.UnknownWord]) -> tuple[UnknownWord, ...]:
    """Translates words that were not understood."""
    return tuple(UnknownWord(each.word, tuple(each.suggestions)) for each in messages)


def understood(messages: Iterable[query_pb2.UnderstoodTerm]) -> tuple[UnderstoodTerm, ...]:
    """Translate what a query was understood as."""
    return tuple(UnderstoodTerm(each.text, tuple(each.words), each.weight) for each in messages)


def upload_result(message: gallery_service_pb2.IndexImagesResult) -> UploadResult:
    """Translates what became of an upload."""
    error = from_status(message.status) if message.HasField("status") else None
    return UploadResult(message.sequence, message.id, message.duplicate_of, error)


def collection(message: image_pb2.Collection) -> Collection:
    """Translates a collection."""
    return Collection(
        message.id,
        message.display_name,
        message.image_count,
        message.model_id,
        message.create_time.ToDatetime(UTC),
    )


def model(message: model_service_pb2.Model) -> Model:
    """Translates a model."""
    return Model(
        id=message.id,
        display_name=message.display_name,
        dimension=message.dimension,
        input_size=message.input_size,
        word_count=message.word_count,
        active=message.active,
        default_min_relevance=message.default_min_relevance,
        metrics=dict(message.metrics),
    )


def filter_of(equal: Mapping[str, Sequence[JsonValue]]) -> query_pb2.Filter | None:
    """Returns the filter "every attribute has one of its values"; None where there is no condition."""
    if not equal:
        return None
    conditions = []
    for field, values in equal.items():
        condition = query_pb2.Condition(field=field)
        accepted: list[Any] = list(values)
        condition.any_of.extend(accepted)
        conditions.append(condition)
    return query_pb2.Filter(must=conditions)
