"""Translate public messages to the core's types and back, with the checks that need only the message.

Invalid input raises `InvalidField` or `InvalidId`, which name the caller's field. The index checks filters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from google.protobuf import field_mask_pb2, struct_pb2, timestamp_pb2
from google.protobuf.message import Message
from semsearch.v1 import gallery_service_pb2, image_pb2, model_service_pb2, query_pb2, search_service_pb2

from gateway.backends.attributes import Attributes, from_struct, to_struct
from gateway.backends.embedding import Crop, Model, PullProgress, Recipe, Term, TextQuery, UnderstoodTerm, UnknownWord
from gateway.collections.blobs import Rendition
from gateway.collections.gallery import AttributesChange
from gateway.collections.image_collections import Collection
from gateway.collections.images import Order, StoredImage, require_image_id
from gateway.collections.names import DEFAULT_COLLECTION, require_collection_id
from gateway.ingest.results import UploadResult
from gateway.search.query_vectors import ImageSource
from gateway.search.search import ImageMatch
from gateway.search.tagging import Taggable
from gateway.switching.switch_run import SwitchProgress
from serving.error_status import ErrorTable
from serving.errors import InvalidField, to_status
from serving.field_paths import split_path
from serving.page_tokens import PageRoom

MAX_TERMS = 100
MAX_PLACE_CHARACTERS = 1_000
MAX_IMAGES = 16
MAX_TAGGED_IMAGES = 1_000
MAX_ATTRIBUTES_BYTES = 64 * 2**10
MAX_ATTRIBUTES_DEPTH = 15  # the index accepts 16 levels, and the caller's attributes lie one level deep in an item's


def collection_or_default(collection: str, field: str = "collection") -> str:
    """Return a collection's id; empty means the default one."""
    return require_collection_id(collection, field) if collection else DEFAULT_COLLECTION


def text_query(raw: str, terms: Sequence[query_pb2.Term]) -> tuple[TextQuery, str]:
    """Return a query and the name of its field; the embedder refuses a query without words."""
    if raw and terms:
        raise InvalidField("query", "send either `query` or `terms`, not both.")
    if terms:
        return TextQuery(terms=query_terms(terms)), "terms"
    return TextQuery(raw=raw), "query"


def added_words(request: search_service_pb2.SearchByImageRequest) -> tuple[TextQuery, str]:
    """Return the words beside the images of a query, and the name of their field; an empty query if there are none."""
    words, field = text_query(request.query, request.terms)
    return words, field if request.query else "terms"


def query_terms(terms: Sequence[query_pb2.Term]) -> tuple[Term, ...]:
    """Return terms; an absent weight is 1."""
    if len(terms) > MAX_TERMS:
        raise InvalidField("terms", f"at most {MAX_TERMS} terms are allowed; there were {len(terms):,}.")
    return tuple(Term(term.text, _weight(term, f"terms[{number}]")) for number, term in enumerate(terms))


def image_source(
    message: search_service_pb2.SearchByImageRequest
    | search_service_pb2.TagImageRequest
    | search_service_pb2.ImageTerm,
    within: str = "",
) -> ImageSource:
    """Return the image that a message is about; its fields are `within` a field of the request."""
    crop = None
    if message.HasField("crop"):
        crop = Crop(message.crop.left, message.crop.top, message.crop.right, message.crop.bottom)
    source = message.WhichOneof("source")
    if source is None:
        raise InvalidField(
            f"{within}content", "send the image's bytes as `content`, or the id of a stored image as `image_id`."
        )
    if source == "image_id":
        return ImageSource(image_id=require_image_id(message.image_id, f"{within}image_id"), crop=crop)
    return ImageSource(content=message.content, crop=crop)


def image_sources(request: search_service_pb2.SearchByImageRequest) -> list[ImageSource]:
    """Return the images to search with: the only one, or those that are listed with their weights."""
    if not request.images:
        return [image_source(request)]
    if request.WhichOneof("source") or request.HasField("crop"):
        raise InvalidField("images", "send either `images`, or one image as `content` or `image_id`, not both.")
    if len(request.images) > MAX_IMAGES:
        raise InvalidField("images", f"at most {MAX_IMAGES} images are allowed; there were {len(request.images):,}.")
    return [
        replace(image_source(image, f"images[{number}]."), weight=_weight(image, f"images[{number}]"))
        for number, image in enumerate(request.images)
    ]


def _weight(term: query_pb2.Term | search_service_pb2.ImageTerm, field: str) -> float:
    """Return a term's weight; an absent one is 1."""
    if not term.HasField("weight"):
        return 1.0
    if not (math.isfinite(term.weight) and term.weight):
        raise InvalidField(f"{field}.weight", f"must be a number other than 0; it was {term.weight}.")
    return term.weight


def min_relevance(
    request: search_service_pb2.SearchByTextRequest
    | search_service_pb2.SearchByImageRequest
    | search_service_pb2.TagImageRequest,
) -> float | None:
    """Return the requested relevance, or None."""
    if not request.HasField("min_relevance"):
        return None
    if not 0.0 <= request.min_relevance <= 1.0:
        raise InvalidField("min_relevance", f"must be between 0 and 1; it was {request.min_relevance}.")
    return request.min_relevance


def attributes_from(struct: struct_pb2.Struct, field: str) -> Attributes:
    """Return a caller's attributes."""
    if (size := struct.ByteSize()) > MAX_ATTRIBUTES_BYTES:
        raise InvalidField(field, f"at most {MAX_ATTRIBUTES_BYTES:,} bytes of attributes are allowed; got {size:,}.")
    if _is_deeper(struct, MAX_ATTRIBUTES_DEPTH):
        raise InvalidField(field, f"must be nested at most {MAX_ATTRIBUTES_DEPTH} levels deep.")
    try:
        return from_struct(struct)
    except ValueError as error:
        raise InvalidField(field, f"{error}.") from error


def _is_deeper(group: struct_pb2.Struct | struct_pb2.ListValue, levels: int) -> bool:
    """Return whether objects and lists are nested deeper than `levels`; deeper values are not visited."""
    values = group.fields.values() if isinstance(group, struct_pb2.Struct) else group.values
    inner = [each.struct_value if each.HasField("struct_value") else each.list_value for each in values if _nests(each)]
    return levels < 1 or any(_is_deeper(each, levels - 1) for each in inner)


def _nests(value: struct_pb2.Value) -> bool:
    return value.HasField("struct_value") or value.HasField("list_value")


def attributes_change(mask: field_mask_pb2.FieldMask) -> AttributesChange:
    """Return which attributes to change."""
    paths = []
    for path in mask.paths:
        try:
            group, *names = split_path(path)
        except ValueError:
            group, names = "", []
        if group != "attributes":
            raise InvalidField(
                "update_mask", f'only "attributes" and "attributes.<name>" can be changed, not {path[:60]!r}.'
            )
        if not names:
            return AttributesChange()
        paths.append(tuple(names))
    return AttributesChange(tuple(paths))


def place_of_original(text: str) -> str:
    """Return where a caller keeps an original; "" means that it is to be stored."""
    if len(text) > MAX_PLACE_CHARACTERS or not text.isprintable():
        raise InvalidField(
            "image.original_at", f"must have at most {MAX_PLACE_CHARACTERS:,} characters, all of which can be printed."
        )
    return text


def rendition(value: gallery_service_pb2.Rendition.ValueType) -> Rendition:
    """Return a rendition; unspecified means the original."""
    if value == gallery_service_pb2.RENDITION_THUMBNAIL:
        return Rendition.THUMBNAIL
    if value in (gallery_service_pb2.RENDITION_UNSPECIFIED, gallery_service_pb2.RENDITION_ORIGINAL):
        return Rendition.ORIGINAL
    raise InvalidField("rendition", f"there is no rendition {value}.")


def image_message(image: StoredImage) -> image_pb2.Image:
    """Return the message of an image."""
    created = timestamp_pb2.Timestamp()
    created.FromDatetime(image.create_time)
    return image_pb2.Image(
        id=image.id,
        collection=image.collection,
        attributes=to_struct(image.attributes),
        sha256=image.sha256,
        media_type=image.media_type,
        size_bytes=image.size_bytes,
        width=image.width,
        height=image.height,
        create_time=created,
        taken_time=image.photo.taken_time,
        camera=image.photo.camera,
        lens=image.photo.lens,
        latitude=image.photo.latitude,
        longitude=image.photo.longitude,
        orientation=image.photo.orientation,
        perceptual_hash=image.perceptual_hash,
        original_at=image.original_at,
        stored_bytes=image.stored_bytes,
    )


def order(value: query_pb2.ImageOrder.ValueType) -> Order:
    """Return an order; unspecified means the method's own."""
    if value == query_pb2.IMAGE_ORDER_NEWEST_FIRST:
        return Order.NEWEST_FIRST
    if value == query_pb2.IMAGE_ORDER_UNSPECIFIED:
        return Order.OF_METHOD
    raise InvalidField("order", f"there is no order {value}.")


def taggable(request: search_service_pb2.TagImageRequest) -> Taggable:
    """Return the image to tag, or the ids of the stored ones that have the tags in common."""
    if not request.image_ids:
        return image_source(request)
    if request.WhichOneof("source") or request.HasField("crop"):
        raise InvalidField("image_ids", "send either `image_ids`, or one image as `content` or `image_id`, not both.")
    if len(request.image_ids) > MAX_TAGGED_IMAGES:
        raise InvalidField(
            "image_ids", f"at most {MAX_TAGGED_IMAGES:,} are allowed; there were {len(request.image_ids):,}."
        )
    ids = (require_image_id(each, f"image_ids[{number}]") for number, each in enumerate(request.image_ids))
    return tuple(dict.fromkeys(ids))


def match_message(match: ImageMatch) -> search_service_pb2.ImageMatch:
    """Return the message of a match."""
    return search_service_pb2.ImageMatch(
        image=image_message(match.image),
        distance=match.distance,
        similarity=match.similarity,
        relevance=match.relevance,
    )


def unknown_messages(words: Iterable[UnknownWord]) -> list[query_pb2.UnknownWord]:
    """Return the messages of words that were not understood."""
    return [query_pb2.UnknownWord(word=each.word, suggestions=each.suggestions) for each in words]


def understood_messages(terms: Iterable[UnderstoodTerm]) -> list[query_pb2.UnderstoodTerm]:
    """Return the messages of a query's understood terms."""
    return [query_pb2.UnderstoodTerm(text=each.text, words=each.words, weight=each.weight) for each in terms]


def collection_message(collection: Collection) -> image_pb2.Collection:
    """Return the message of a collection."""
    created = timestamp_pb2.Timestamp()
    created.FromDatetime(collection.create_time)
    return image_pb2.Collection(
        id=collection.id,
        display_name=collection.display_name,
        image_count=collection.image_count,
        model_id=collection.model_id,
        create_time=created,
        index_bytes=collection.index_bytes,
        image_bytes=collection.image_bytes,
    )


def model_message(model: Model) -> model_service_pb2.Model:
    """Return the message of a model."""
    return model_service_pb2.Model(
        id=model.id,
        display_name=model.display_name,
        dimension=model.dimension,
        input_size=model.input_size,
        word_count=model.word_count,
        active=model.active,
        default_min_relevance=model.calibration.default_min_relevance,
        metrics=model.metrics,
    )


def recipe_message(recipe: Recipe) -> model_service_pb2.Recipe:
    """Return the message of a recipe."""
    return model_service_pb2.Recipe(
        name=recipe.name,
        model_id=recipe.model_id,
        display_name=recipe.display_name,
        download_bytes=recipe.download_bytes,
    )


def pull_message(progress: PullProgress) -> model_service_pb2.PullModelResponse:
    """Return the message of a pull's progress."""
    return model_service_pb2.PullModelResponse(
        bytes_done=progress.bytes_done,
        bytes_total=progress.bytes_total,
        model=model_message(progress.model) if progress.model else None,
    )


def switch_message(progress: SwitchProgress) -> model_service_pb2.ActivateModelResponse:
    """Return the message of a switch's progress."""
    return model_service_pb2.ActivateModelResponse(
        images_done=progress.images_done,
        images_total=progress.images_total,
        images_failed=progress.images_failed,
        words_done=progress.words_done,
        words_total=progress.words_total,
        model=model_message(progress.model) if progress.model else None,
    )


def result_message(result: UploadResult, errors: ErrorTable) -> gallery_service_pb2.IndexImagesResult:
    """Return the message of an upload's result."""
    message = gallery_service_pb2.IndexImagesResult(
        sequence=result.sequence, id=result.id, duplicate_of=result.duplicate_of
    )
    if result.error is not None:
        message.status.CopyFrom(to_status(result.error, errors))
    return message


def count_on_page(messages: Sequence[Message]) -> int:
    """Return how many messages from the start fit on a page: at least one, if any exist."""
    room = PageRoom()
    return next((count for count, message in enumerate(messages) if not room.fits(message)), len(messages))
