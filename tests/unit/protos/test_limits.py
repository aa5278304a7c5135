"""The limits that the protos' comments state are those that the code enforces, and none is left unsaid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

import index_service.filters as filters
import model.text.embedding as embedding
import model.text.query as query
from embedder_service.settings import EmbedderSettings
from gateway.api import backup_servicer, gallery_servicer, model_servicer, search_servicer, translate
from gateway.backups import keeping
from gateway.collections import image_collections, images
from gateway.ingest.ingest import THUMBNAIL_EDGE
from gateway.search import distinct
from index_service.api.translate import indexes, items, listings, searches
from index_service.attributes import MAX_PATH_CHARACTERS
from index_service.definition import DEFAULT_RECALL_TARGET, MAX_DIMENSION
from model.text.suggestions import SUGGESTIONS
from serving.page_tokens import MAX_PAGE_BYTES
from tests.unit.protos.comments import COMMENTS

PUBLIC = [
    import_module(f"semsearch.v1.{file.stem}_pb2")
    for file in (Path(__file__).parents[3] / "protos" / "semsearch" / "v1").glob("*_service.proto")
]


def size(number: int) -> str:
    return f"{number // 2**20} MiB" if number >= 2**20 else f"{number // 2**10} KiB"


def setting(name: str) -> int:
    default: int = EmbedderSettings.model_fields[name].default
    return default


IMAGE_LIMITS = (size(setting("max_image_bytes")), setting("max_image_pixels"))
ATTRIBUTES = (size(translate.MAX_ATTRIBUTES_BYTES), translate.MAX_ATTRIBUTES_DEPTH)
QUERY = (query.MAX_CHARACTERS, query.MAX_TERMS)
SEARCH_PAGE = (search_servicer.DEFAULT_PAGE_SIZE, search_servicer.MAX_PAGE_SIZE)
FULL_PAGE = (*SEARCH_PAGE, size(MAX_PAGE_BYTES))
COLLECTION_ID = (63,)

# What the comment of a field, or of a message, must state.
LIMITS: dict[str, tuple[int | float | str, ...]] = {
    "v1.BatchIndexImagesRequest.images": (gallery_servicer.MAX_BATCH_IMAGES, size(setting("max_message_bytes"))),
    "v1.Collection.id": COLLECTION_ID,
    "v1.CreateBackupRequest.place": (backup_servicer.MAX_PLACE_CHARACTERS,),
    "v1.Condition.any_of": (filters.MAX_VALUES,),
    "v1.Condition.field": (MAX_PATH_CHARACTERS,),
    "v1.CreateCollectionRequest.collection_id": COLLECTION_ID,
    "v1.CreateCollectionRequest.display_name": (image_collections.MAX_DISPLAY_NAME_CHARACTERS,),
    "v1.DeleteImagesRequest.ids": (gallery_servicer.MAX_DELETED_IDS,),
    "v1.DownloadImageResponse.chunk": (size(gallery_servicer.CHUNK_BYTES),),
    "v1.ListBackupsRequest.place": (backup_servicer.MAX_PLACE_CHARACTERS,),
    "v1.PruneBackupsRequest.place": (backup_servicer.MAX_PLACE_CHARACTERS,),
    "v1.RestoreBackupRequest.place": (backup_servicer.MAX_PLACE_CHARACTERS,),
    "v1.VerifyBackupRequest.place": (backup_servicer.MAX_PLACE_CHARACTERS,),
    "v1.VerifyBackupResponse.damages": (keeping.MAX_DAMAGES,),
    "v1.Filter": (filters.MAX_CONDITIONS, filters.MAX_DEPTH, filters.MAX_VALUES),
    "v1.Image.attributes": ATTRIBUTES,
    "v1.ImageTerm.content": IMAGE_LIMITS,
    "v1.ImageUpload.attributes": ATTRIBUTES,
    "v1.ImageUpload.content": (*IMAGE_LIMITS, setting("max_image_scans")),
    "v1.ImageUpload.id": (images.MAX_ID_CHARACTERS, images.MAX_ID_BYTES),
    "v1.ImageUpload.original_at": (translate.MAX_PLACE_CHARACTERS,),
    "v1.ListCollectionsRequest.page_size": (gallery_servicer.DEFAULT_PAGE_SIZE, gallery_servicer.MAX_PAGE_SIZE),
    "v1.ListImagesRequest.page_size": (
        gallery_servicer.DEFAULT_PAGE_SIZE,
        gallery_servicer.MAX_PAGE_SIZE,
        size(MAX_PAGE_BYTES),
    ),
    "v1.ListModelsRequest.page_size": (model_servicer.DEFAULT_PAGE_SIZE, model_servicer.MAX_PAGE_SIZE),
    "v1.Rendition.RENDITION_THUMBNAIL": (THUMBNAIL_EDGE,),
    "v1.RenameCollectionRequest.new_collection_id": COLLECTION_ID,
    "v1.SearchByImageRequest.content": IMAGE_LIMITS,
    "v1.SearchByImageRequest.distinct": (distinct.LOOK_BACK,),
    "v1.SearchByImageRequest.images": (translate.MAX_IMAGES, size(setting("max_message_bytes"))),
    "v1.SearchByImageRequest.page_size": FULL_PAGE,
    "v1.SearchByImageRequest.query": QUERY,
    "v1.SearchByImageRequest.terms": (translate.MAX_TERMS,),
    "v1.SearchByTextRequest.distinct": (distinct.LOOK_BACK, distinct.MOST_READ),
    "v1.SearchByTextRequest.page_size": FULL_PAGE,
    "v1.SearchByTextRequest.query": (*QUERY, query.MAX_WEIGHT),
    "v1.SearchByTextRequest.terms": (translate.MAX_TERMS,),
    "v1.SimilarWordsRequest.page_size": SEARCH_PAGE,
    "v1.SimilarWordsRequest.query": QUERY,
    "v1.TagImageRequest.content": IMAGE_LIMITS,
    "v1.TagImageRequest.image_ids": (translate.MAX_TAGGED_IMAGES,),
    "v1.TagImageRequest.labels": (search_servicer.MAX_LABELS, query.MAX_CHARACTERS),
    "v1.TagImageRequest.max_tags": (search_servicer.DEFAULT_TAGS, search_servicer.MAX_TAGS),
    "v1.Term.text": (query.MAX_CHARACTERS,),
    "v1.Term.weight": (query.MAX_WEIGHT,),
    "v1.UnknownWord.suggestions": (SUGGESTIONS, embedding.MAX_SUGGESTED),
    "index.v1.CountItemsRequest.distances": (listings.MAX_BOUNDS,),
    "index.v1.CountItemsRequest.excluded_ids": (listings.MAX_EXCLUDED,),
    "index.v1.DeleteItemsRequest.ids": (items.MAX_BATCH,),
    "index.v1.GetItemsRequest.ids": (items.MAX_BATCH,),
    "index.v1.Index.dimension": (MAX_DIMENSION,),
    "index.v1.Index.indexed_attributes": (indexes.MAX_INDEXED_ATTRIBUTES,),
    "index.v1.Index.labels": (indexes.MAX_LABELS, indexes.MAX_TEXT_CHARACTERS),
    "index.v1.Index.model_id": (indexes.MAX_TEXT_CHARACTERS,),
    "index.v1.Index.recall_target": (DEFAULT_RECALL_TARGET,),
    "index.v1.Item.attributes": (size(items.MAX_ATTRIBUTES_BYTES), items.MAX_DEPTH),
    "index.v1.Item.id": (items.MAX_ID_BYTES,),
    "index.v1.SearchRequest.include_vectors": (searches.MAX_NEIGHBORS_WITH_VECTORS,),
    "index.v1.SearchRequest.k": (searches.MAX_K, searches.MAX_NEIGHBORS),
    "index.v1.SearchRequest.queries": (searches.MAX_QUERIES,),
    "index.v1.UpsertItemsRequest.items": (items.MAX_BATCH,),
}
# Fields of requests that name something which exists, or are limited by what holds them.
UNLIMITED = re.compile(
    r"\.(collection|image_id|backup_id|page_token|update_mask"
    r"|(Get|Download)ImageRequest\.id|(Get|Rename|Delete)CollectionRequest\.collection_id"
    r"|(Get|Activate)ModelRequest\.id|PullModelRequest\.recipe"
    r"|Filter\.\w+|TextRange\.\w+"
    r"|Image\.(?!attributes)\w+)$"
)


@pytest.mark.parametrize("name", LIMITS)
def test_a_comment_states_the_limits_of_the_code(name: str) -> None:
    for limit in LIMITS[name]:
        text = limit if isinstance(limit, str) else f"{limit:,}".removesuffix(".0")
        assert re.search(rf"(?<![\d,.]){re.escape(text)}(?![.,]?\d)", COMMENTS[name]), (text, COMMENTS[name])


def request_fields(message: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
    """Yield the fields of a request and of our messages in it."""
    if message.full_name not in seen:
        seen.add(message.full_name)
        for field in message.fields:
            yield field
            if field.message_type is not None and field.message_type.full_name.startswith("semsearch."):
                yield from request_fields(field.message_type, seen)


def test_every_public_field_that_could_be_too_large_states_its_limit() -> None:
    seen: set[str] = set()
    fields = [
        field
        for module in PUBLIC
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        for field in request_fields(method.input_type, seen)
    ]
    unsaid = [
        field.full_name
        for field in fields
        if field.is_repeated
        or field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
        or (field.message_type is not None and field.message_type.full_name == "google.protobuf.Struct")
        if field.full_name.removeprefix("semsearch.") not in LIMITS and not UNLIMITED.search(field.full_name)
    ]
    assert not unsaid, f"State their limits in the protos, and the constants in LIMITS: {unsaid}"
