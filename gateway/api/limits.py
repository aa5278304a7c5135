"""The limits of the gateway's calls; see `serving.limits`. Those of images are the embedder's."""

from __future__ import annotations

from gateway.api import backup_servicer, downloads, gallery_servicer, model_servicer, search_servicer, translate
from gateway.backups import keeping
from gateway.collections import image_collections, images
from gateway.ingest.embedding import THUMBNAIL_EDGE
from gateway.search import distinct
from gateway.settings import GatewaySettings
from serving.callers import MAX_COLLECTION_CHARACTERS
from serving.http_bodies import MAX_JSON_VALUES
from serving.limits import Limit, chosen, of_fields, of_process
from serving.page_tokens import MAX_PAGE_BYTES

_PACKAGE = "semsearch.v1"


def limits(settings: GatewaySettings) -> tuple[Limit, ...]:
    """Return the limits."""
    return (
        *of_process(settings),
        chosen(settings, "max_calls_per_caller", "calls of a caller", "at a time"),
        Limit("JSON message over HTTP", MAX_JSON_VALUES, "values"),
        chosen(settings, "max_pending_bytes", "images being added", "bytes"),
        chosen(settings, "max_pending_bytes", "originals being downloaded", "bytes"),
        chosen(settings, "map_memory_bytes", "computing a map", "bytes of memory"),
        *of_fields(
            _PACKAGE,
            "elements",
            {
                "BatchIndexImagesRequest.images": gallery_servicer.MAX_BATCH_IMAGES,
                "DeleteImagesRequest.ids": gallery_servicer.MAX_DELETED_IDS,
                "SearchByImageRequest.images": translate.MAX_IMAGES,
                "SearchByImageRequest.terms": translate.MAX_TERMS,
                "SearchByTextRequest.terms": translate.MAX_TERMS,
                "TagImageRequest.image_ids": translate.MAX_TAGGED_IMAGES,
                "TagImageRequest.labels": search_servicer.MAX_LABELS,
                "VerifyBackupResponse.damages": keeping.MAX_DAMAGES,
            },
        ),
        *of_fields(
            _PACKAGE,
            "on a page",
            {
                "ListCollectionsRequest.page_size": gallery_servicer.MAX_PAGE_SIZE,
                "ListImagesRequest.page_size": gallery_servicer.MAX_PAGE_SIZE,
                "ListModelsRequest.page_size": model_servicer.MAX_PAGE_SIZE,
                "SearchByImageRequest.page_size": search_servicer.MAX_PAGE_SIZE,
                "SearchByTextRequest.page_size": search_servicer.MAX_PAGE_SIZE,
                "SimilarWordsRequest.page_size": search_servicer.MAX_PAGE_SIZE,
                "TagImageRequest.max_tags": search_servicer.MAX_TAGS,
            },
        ),
        *of_fields(
            _PACKAGE,
            "bytes",
            {
                "DownloadImageResponse.chunk": downloads.CHUNK_BYTES,
                "Image.attributes": translate.MAX_ATTRIBUTES_BYTES,
                "ImageUpload.attributes": translate.MAX_ATTRIBUTES_BYTES,
                "ImageUpload.id": images.MAX_ID_BYTES,
                "ListImagesRequest.page_size": MAX_PAGE_BYTES,
                "SearchByImageRequest.page_size": MAX_PAGE_BYTES,
                "SearchByTextRequest.page_size": MAX_PAGE_BYTES,
            },
        ),
        *of_fields(
            _PACKAGE,
            "levels",
            {
                "Image.attributes": translate.MAX_ATTRIBUTES_DEPTH,
                "ImageUpload.attributes": translate.MAX_ATTRIBUTES_DEPTH,
            },
        ),
        *of_fields(
            _PACKAGE,
            "characters",
            {
                "Collection.id": MAX_COLLECTION_CHARACTERS,
                "CreateBackupRequest.place": backup_servicer.MAX_PLACE_CHARACTERS,
                "CreateCollectionRequest.collection_id": MAX_COLLECTION_CHARACTERS,
                "CreateCollectionRequest.display_name": image_collections.MAX_DISPLAY_NAME_CHARACTERS,
                "ImageUpload.id": images.MAX_ID_CHARACTERS,
                "ImageUpload.original_at": translate.MAX_PLACE_CHARACTERS,
                "ListBackupsRequest.place": backup_servicer.MAX_PLACE_CHARACTERS,
                "PruneBackupsRequest.place": backup_servicer.MAX_PLACE_CHARACTERS,
                "RenameCollectionRequest.new_collection_id": MAX_COLLECTION_CHARACTERS,
                "RestoreBackupRequest.place": backup_servicer.MAX_PLACE_CHARACTERS,
                "VerifyBackupRequest.place": backup_servicer.MAX_PLACE_CHARACTERS,
            },
        ),
        *of_fields(
            _PACKAGE,
            "matches before",
            {
                "SearchByImageRequest.distinct": distinct.LOOK_BACK,
                "SearchByTextRequest.distinct": distinct.LOOK_BACK,
            },
        ),
        *of_fields(_PACKAGE, "matches read", {"SearchByTextRequest.distinct": distinct.MOST_READ}),
        *of_fields(_PACKAGE, "pixels on the longer edge", {"Rendition.RENDITION_THUMBNAIL": THUMBNAIL_EDGE}),
    )
