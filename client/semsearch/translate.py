"""Messages ↔ the client's own values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any

from google.protobuf import struct_pb2

from semsearch.rpc_errors import from_status
from semsearch.v1 import gallery_service_pb2 as gallery_pb
from semsearch.v1 import image_pb2, query_pb2
from semsearch.v1 import model_service_pb2 as model_pb
from semsearch.v1 import search_service_pb2 as search_pb
from semsearch.values import (
    Collection,
    CropBox,
    Image,
    ImageMatch,
    ImageMatches,
    JsonValue,
    Model,
    PullProgress,
    SwitchProgress,
    Tag,
    Tags,
    Term,
    UnderstoodTerm,
    UnknownWord,
    UploadResult,
    WordMatch,
    WordMatches,
)


def image(message: image_pb2.Image) -> Image:
    """Translate an image."""
    return Image(
        id=message.id,
        collection=message.collection,
        attributes=attributes(message.attributes),
        sha256=message.sha256,
        media_type=message.media_type,
        size_bytes=message.size_bytes,
        width=message.width,
        height=message.height,
        create_time=message.create_time.ToDatetime(UTC),
    )


def attributes(message: struct_pb2.Struct) -> dict[str, JsonValue]:
    """Translate attributes; in lists of many images, this takes most of the client's time."""
    return {name: _json_value(value) for name, value in message.fields.items()}


def image_matches(response: search_pb.SearchByTextResponse | search_pb.SearchByImageResponse) -> ImageMatches:
    """Translate a page of images that were found."""
    return ImageMatches(
        tuple(
            ImageMatch(image(each.image), each.distance, each.similarity, each.relevance) for each in response.matches
        ),
        _unknown_words(response.unknown_words),
        response.next_page_token,
        _understood(response.understood),
    )


def tags(response: search_pb.TagImageResponse) -> Tags:
    """Translate the words for an image."""
    return Tags(
        tuple(Tag(each.word, each.distance, each.similarity, each.relevance) for each in response.tags),
        _unknown_words(response.unknown_words),
    )


def word_matches(response: search_pb.SimilarWordsResponse) -> WordMatches:
    """Translate a page of words that were found."""
    return WordMatches(
        tuple(WordMatch(each.word, each.distance, each.similarity) for each in response.words),
        _unknown_words(response.unknown_words),
        response.next_page_token,
        _understood(response.understood),
    )


def upload_result(message: gallery_pb.IndexImagesResult) -> UploadResult:
    """Translate what became of an upload."""
    error = from_status(message.status) if message.HasField("status") else None
    return UploadResult(message.sequence, message.id, message.duplicate_of, error)


def collection(message: image_pb2.Collection) -> Collection:
    """Translate a collection."""
    return Collection(
        message.id,
        message.display_name,
        message.image_count,
        message.model_id,
        message.create_time.ToDatetime(UTC),
    )


def model(message: model_pb.Model) -> Model:
    """Translate a model."""
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


def pull_progress(response: model_pb.PullModelResponse) -> PullProgress:
    """Translate the progress of a pull."""
    made = model(response.model) if response.HasField("model") else None
    return PullProgress(response.bytes_done, response.bytes_total, made)


def switch_progress(response: model_pb.ActivateModelResponse) -> SwitchProgress:
    """Translate the progress of a switch."""
    return SwitchProgress(
        response.images_done,
        response.images_total,
        response.images_failed,
        model(response.model) if response.HasField("model") else None,
        response.words_done,
        response.words_total,
    )


def filter_of(equal: Mapping[str, Sequence[JsonValue]]) -> query_pb2.Filter | None:
    """Return the filter "every attribute has one of its values"; None if there is no condition."""
    if not equal:
        return None
    conditions = []
    for field, values in equal.items():
        condition = query_pb2.Condition(field=field)
        accepted: list[Any] = list(values)
        condition.any_of.extend(accepted)
        conditions.append(condition)
    return query_pb2.Filter(must=conditions)


def crop_of(crop: CropBox | None) -> query_pb2.CropBox | None:
    """Translate a part of an image."""
    if crop is None:
        return None
    return query_pb2.CropBox(left=crop.left, top=crop.top, right=crop.right, bottom=crop.bottom)


def term_of(term: Term) -> query_pb2.Term:
    """Translate a term of a query."""
    return query_pb2.Term(text=term.text, weight=term.weight)


def set_source(request: search_pb.SearchByImageRequest | search_pb.TagImageRequest, image: bytes | str) -> None:
    """Put an image's bytes, or a stored image's id, into a request."""
    if isinstance(image, bytes):
        request.content = image
    else:
        request.image_id = image


def _unknown_words(messages: Iterable[query_pb2.UnknownWord]) -> tuple[UnknownWord, ...]:
    return tuple(UnknownWord(each.word, tuple(each.suggestions)) for each in messages)


def _understood(messages: Iterable[query_pb2.UnderstoodTerm]) -> tuple[UnderstoodTerm, ...]:
    return tuple(UnderstoodTerm(each.text, tuple(each.words), each.weight) for each in messages)


def _json_value(message: struct_pb2.Value) -> JsonValue:
    match message.WhichOneof("kind"):
        case "string_value":
            return message.string_value
        case "number_value":
            return message.number_value
        case "bool_value":
            return message.bool_value
        case "struct_value":
            return attributes(message.struct_value)
        case "list_value":
            return [_json_value(each) for each in message.list_value.values]
        case _:
            return None
