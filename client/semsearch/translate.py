"""Messages ↔ the client's own values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from google.protobuf import struct_pb2

from semsearch.image_sources import ImageSource, source_of
from semsearch.rpc_errors import from_status
from semsearch.transport.server import Server
from semsearch.v1 import gallery_service_pb2 as gallery_pb
from semsearch.v1 import image_pb2, query_pb2
from semsearch.v1 import limits_service_pb2 as limits_pb
from semsearch.v1 import model_service_pb2 as model_pb
from semsearch.v1 import search_service_pb2 as search_pb
from semsearch.values import (
    CallerQuota,
    Collection,
    CropBox,
    DuplicatesProgress,
    Image,
    ImageMatch,
    ImageMatches,
    ImageTerm,
    JsonValue,
    Limit,
    Limits,
    MatchCounts,
    Model,
    PullProgress,
    Recipe,
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


def image(message: image_pb2.Image, server: Server) -> Image:
    """Translate an image."""
    found = Image(
        id=message.id,
        collection=message.collection,
        attributes=attributes(message.attributes),
        sha256=message.sha256,
        media_type=message.media_type,
        size_bytes=message.size_bytes,
        width=message.width,
        height=message.height,
        create_time=message.create_time.ToDatetime(UTC),
        taken_time=message.taken_time,
        camera=message.camera,
        lens=message.lens,
        latitude=message.latitude if message.HasField("latitude") else None,
        longitude=message.longitude if message.HasField("longitude") else None,
        original_at=message.original_at,
    )
    return found.remember_server(server)


def attributes(message: struct_pb2.Struct) -> dict[str, JsonValue]:
    """Translate attributes; this takes most of the client's time in long lists of images."""
    return {name: _json_value(value) for name, value in message.fields.items()}


def image_matches(
    response: search_pb.SearchByTextResponse | search_pb.SearchByImageResponse, server: Server
) -> ImageMatches:
    """Translate a page of image matches."""
    return ImageMatches(
        tuple(_image_match(each, server) for each in response.matches),
        _unknown_words(response.unknown_words),
        response.next_page_token,
        _understood(response.understood),
    ).remember_server(server)


def tags(response: search_pb.TagImageResponse) -> Tags:
    """Translate the words for an image."""
    return Tags(
        tuple(Tag(each.word, each.distance, each.similarity, each.relevance) for each in response.tags),
        _unknown_words(response.unknown_words),
    )


def word_matches(response: search_pb.SimilarWordsResponse, _: Server) -> WordMatches:
    """Translate a page of word matches."""
    return WordMatches(
        tuple(WordMatch(each.word, each.distance, each.similarity) for each in response.words),
        _unknown_words(response.unknown_words),
        response.next_page_token,
        _understood(response.understood),
    )


def upload_result(message: gallery_pb.IndexImagesResult) -> UploadResult:
    """Translate the result of an upload."""
    error = from_status(message.status) if message.HasField("status") else None
    return UploadResult(message.sequence, message.id, message.duplicate_of, error)


class DuplicatesTranslator:
    """Translates the responses of one search for duplicates; keeps a group that comes in parts until it is complete."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._begun: list[Image] = []

    def __call__(self, response: gallery_pb.FindDuplicatesResponse) -> DuplicatesProgress:
        """Translate the next response."""
        groups = []
        for part in response.groups:
            self._begun += [image(each, self._server) for each in part.images]
            if not part.continues:
                groups.append(tuple(self._begun))
                self._begun = []
        return DuplicatesProgress(
            response.done_count, response.total_count, tuple(groups), response.unhashed_count, response.plain_count
        )


def collection(message: image_pb2.Collection) -> Collection:
    """Translate a collection."""
    return Collection(
        message.id,
        message.display_name,
        message.image_count,
        message.model_id,
        message.create_time.ToDatetime(UTC),
        message.index_bytes,
        message.image_bytes if message.HasField("image_bytes") else None,
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


def recipe(message: model_pb.Recipe) -> Recipe:
    """Translate a recipe."""
    return Recipe(message.name, message.model_id, message.display_name, message.download_bytes)


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


def match_counts(response: search_pb.CountMatchesResponse) -> MatchCounts:
    """Translate the counts of a search."""
    return MatchCounts(response.match_count, response.min_relevance, tuple(response.counts_by_relevance))


def order_of(*, newest_first: bool) -> query_pb2.ImageOrder.ValueType:
    """Translate the order of images."""
    return query_pb2.IMAGE_ORDER_NEWEST_FIRST if newest_first else query_pb2.IMAGE_ORDER_UNSPECIFIED


def crop_of(crop: CropBox | None) -> query_pb2.CropBox | None:
    """Translate a part of an image."""
    if crop is None:
        return None
    return query_pb2.CropBox(left=crop.left, top=crop.top, right=crop.right, bottom=crop.bottom)


def term_of(term: Term | str) -> query_pb2.Term:
    """Translate a term of a query."""
    return query_pb2.Term(text=term) if isinstance(term, str) else query_pb2.Term(text=term.text, weight=term.weight)


def image_term_of(term: ImageTerm) -> search_pb.ImageTerm:
    """Translate an image of a query."""
    message = search_pb.ImageTerm(crop=crop_of(term.crop), weight=term.weight)
    set_source(message, term.image)
    return message


def set_source(
    message: search_pb.SearchByImageRequest | search_pb.TagImageRequest | search_pb.ImageTerm, image: ImageSource
) -> None:
    """Put an image's bytes, or a stored image's id, into a message."""
    source = source_of(image)
    if isinstance(source, str):
        message.image_id = source
    else:
        message.content = source


def _image_match(message: search_pb.ImageMatch, server: Server) -> ImageMatch:
    found = ImageMatch(image(message.image, server), message.distance, message.similarity, message.relevance)
    return found.remember_server(server)


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


def limits(response: limits_pb.GetLimitsResponse) -> Limits:
    """Translate limits and quotas."""
    return Limits(
        tuple(Limit(each.name, each.most, each.unit, each.service, each.setting) for each in response.limits),
        tuple(
            CallerQuota(
                each.kind,
                each.per_second,
                each.burst,
                each.per_day,
                each.used_today,
                each.day_end.ToDatetime(UTC) if each.HasField("day_end") else None,
            )
            for each in response.quotas
        ),
        response.max_calls,
        response.caller,
    )
