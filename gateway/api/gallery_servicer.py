"""GalleryService on top of the core."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.v1 import gallery_service_pb2_grpc as pb_grpc
from typing_extensions import override

from gateway.api import translate
from gateway.api.downloads import CHUNK_BYTES, HeldContent
from gateway.api.duplicate_messages import duplicate_messages
from gateway.api.statuses import ERRORS
from gateway.api.upload_stream import UploadStream, upload_of
from gateway.collections.blobs import Rendition
from gateway.collections.duplicates import Duplicates
from gateway.collections.gallery import Gallery
from gateway.collections.image_collections import MAX_DISPLAY_NAME_CHARACTERS, ImageCollections
from gateway.collections.images import StoredImage, require_image_id
from gateway.collections.names import DEFAULT_COLLECTION, require_collection_id
from gateway.ingest.batch import add_batch
from gateway.ingest.ingest import ImageIngest
from serving import callers
from serving.byte_budget import ByteBudget, ByteShare
from serving.errors import InvalidField
from serving.page_tokens import PageTokens, page_size

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
MAX_DELETED_IDS = 1_000
MAX_BATCH_IMAGES = 100

Context = grpc.aio.ServicerContext[Any, Any]


class GalleryServicer(pb_grpc.GalleryServiceServicer):
    """Translates requests, calls the core and translates its answers."""

    def __init__(
        self,
        gallery: Gallery,
        duplicates: Duplicates,
        ingest: ImageIngest,
        collections: ImageCollections,
        tokens: PageTokens,
        downloads: ByteBudget,
    ) -> None:
        self._gallery = gallery
        self._duplicates = duplicates
        self._ingest = ingest
        self._collections = collections
        self._tokens = tokens
        self._downloads = downloads

    @override
    async def IndexImages(
        self, request_iterator: AsyncIterator[pb.IndexImagesRequest], context: Context
    ) -> AsyncIterator[pb.IndexImagesResponse]:
        """Add images, answering each once it is durable and searchable."""
        uploads = UploadStream(request_iterator)
        collection = await uploads.collection()
        async with aclosing(self._ingest.run(collection, uploads)) as answers:
            async for answer in answers:
                yield pb.IndexImagesResponse(
                    results=[translate.result_message(result, ERRORS) for result in answer.results],
                    durable_sequence=answer.durable_sequence,
                )
        uploads.raise_fault()

    @override
    async def BatchIndexImages(
        self, request: pb.BatchIndexImagesRequest, context: Context
    ) -> pb.BatchIndexImagesResponse:
        """Add images that were sent together."""
        if not 1 <= len(request.images) <= MAX_BATCH_IMAGES:
            raise InvalidField("images", f"send 1 to {MAX_BATCH_IMAGES} images; there were {len(request.images):,}.")
        collection = translate.collection_or_default(request.collection)
        results = await add_batch(self._ingest, collection, [upload_of(image) for image in request.images])
        return pb.BatchIndexImagesResponse(results=[translate.result_message(result, ERRORS) for result in results])

    @override
    async def GetImage(self, request: pb.GetImageRequest, context: Context) -> pb.GetImageResponse:
        """Return an image's description."""
        collection = translate.collection_or_default(request.collection)
        image = await self._gallery.get(collection, require_image_id(request.id, "id"))
        return pb.GetImageResponse(image=translate.image_message(image))

    @override
    async def ListImages(self, request: pb.ListImagesRequest, context: Context) -> pb.ListImagesResponse:
        """List the images of a collection, first added first or newest first."""
        size = page_size(request.page_size, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        token = self._tokens.decode(request.page_token, request) or ""
        filter_ = request.filter if request.HasField("filter") else None
        collection = translate.collection_or_default(request.collection)
        order = translate.order(request.order)
        images, next_token = await self._gallery.list_page(collection, size, token, filter_, order)
        messages = [translate.image_message(image) for image in images]
        if (fitting := translate.count_on_page(messages)) < len(messages):
            images, next_token = await self._gallery.list_page(collection, fitting, token, filter_, order)
            messages = [translate.image_message(image) for image in images]
        return pb.ListImagesResponse(
            images=messages,
            next_page_token=self._tokens.encode(next_token, request) if next_token else "",
        )

    @override
    async def CountImages(self, request: pb.CountImagesRequest, context: Context) -> pb.CountImagesResponse:
        """Count the images of a collection, or those that pass a filter."""
        collection = translate.collection_or_default(request.collection)
        filter_ = request.filter if request.HasField("filter") else None
        return pb.CountImagesResponse(image_count=await self._gallery.count(collection, filter_))

    @override
    async def DeleteImages(self, request: pb.DeleteImagesRequest, context: Context) -> pb.DeleteImagesResponse:
        """Delete images; unknown ids are listed in the response and are not an error."""
        if not 1 <= len(request.ids) <= MAX_DELETED_IDS:
            raise InvalidField("ids", f"send 1 to {MAX_DELETED_IDS:,} ids; there were {len(request.ids):,}.")
        ids = [require_image_id(image_id, f"ids[{number}]") for number, image_id in enumerate(request.ids)]
        deleted, unknown = await self._gallery.delete(translate.collection_or_default(request.collection), ids)
        return pb.DeleteImagesResponse(deleted_count=deleted, unknown_ids=unknown)

    @override
    async def UpdateImage(self, request: pb.UpdateImageRequest, context: Context) -> pb.UpdateImageResponse:
        """Change an image's attributes."""
        image = await self._gallery.update(
            translate.collection_or_default(request.image.collection, "image.collection"),
            require_image_id(request.image.id, "image.id"),
            translate.attributes_from(request.image.attributes, "image.attributes"),
            translate.attributes_change(request.update_mask),
        )
        return pb.UpdateImageResponse(image=translate.image_message(image))

    @override
    async def DownloadImage(
        self, request: pb.DownloadImageRequest, context: Context
    ) -> AsyncIterator[pb.DownloadImageResponse]:
        """Stream an image's bytes in chunks, once there is room for them."""
        rendition = translate.rendition(request.rendition)
        image = await self._gallery.get(
            translate.collection_or_default(request.collection), require_image_id(request.id, "id")
        )
        with self._downloads.share() as share:
            if rendition is Rendition.ORIGINAL:
                await share.take(image.size_bytes)
            media_type, content = await self._held(image, rendition, share)
            for start in range(0, content.size, CHUNK_BYTES):
                with content.chunk(start) as chunk:
                    yield (
                        pb.DownloadImageResponse(chunk=chunk)
                        if start
                        else pb.DownloadImageResponse(media_type=media_type, size_bytes=content.size, chunk=chunk)
                    )

    async def _held(self, image: StoredImage, rendition: Rendition, share: ByteShare) -> tuple[str, HeldContent]:
        """Return the type of a rendition, and its bytes, which nothing else holds."""
        download = await self._gallery.read(image, rendition)
        return download.media_type, HeldContent(download.content, share)

    @override
    async def FindDuplicates(
        self, request: pb.FindDuplicatesRequest, context: Context
    ) -> AsyncIterator[pb.FindDuplicatesResponse]:
        """Stream groups of images that show the same picture, and the progress."""
        collection = translate.collection_or_default(request.collection)
        async with aclosing(self._duplicates.find(collection)) as steps:
            async for found in steps:
                for message in duplicate_messages(found):
                    yield message

    @override
    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, context: Context
    ) -> pb.CreateCollectionResponse:
        """Create a collection."""
        if len(request.display_name) > MAX_DISPLAY_NAME_CHARACTERS:
            raise InvalidField("display_name", f"has at most {MAX_DISPLAY_NAME_CHARACTERS} characters.")
        collection = await self._collections.create(
            require_collection_id(request.collection_id, "collection_id"), request.display_name
        )
        return pb.CreateCollectionResponse(collection=translate.collection_message(collection))

    @override
    async def GetCollection(self, request: pb.GetCollectionRequest, context: Context) -> pb.GetCollectionResponse:
        """Return a collection's description."""
        collection = await self._collections.measure(require_collection_id(request.collection_id, "collection_id"))
        return pb.GetCollectionResponse(collection=translate.collection_message(collection))

    @override
    async def ListCollections(self, request: pb.ListCollectionsRequest, context: Context) -> pb.ListCollectionsResponse:
        """List the collections that the caller may use, by id."""
        size = page_size(request.page_size, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        after = self._tokens.decode(request.page_token, request) or ""
        may_use = callers.current().may_use
        collections = [each for each in await self._collections.list_all() if each.id > after and may_use(each.id)]
        more = len(collections) > size
        return pb.ListCollectionsResponse(
            collections=[translate.collection_message(each) for each in collections[:size]],
            next_page_token=self._tokens.encode(collections[size - 1].id, request) if more else "",
        )

    @override
    async def RenameCollection(
        self, request: pb.RenameCollectionRequest, context: Context
    ) -> pb.RenameCollectionResponse:
        """Give a collection another id; the default one keeps its id."""
        collection = require_collection_id(request.collection_id, "collection_id")
        if collection == DEFAULT_COLLECTION:
            raise InvalidField("collection_id", f'the default collection, "{collection}", keeps its id.')
        renamed = await self._collections.rename(
            collection, require_collection_id(request.new_collection_id, "new_collection_id")
        )
        return pb.RenameCollectionResponse(collection=translate.collection_message(renamed))

    @override
    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: Context
    ) -> pb.DeleteCollectionResponse:
        """Delete a collection with all its images; the default one is only emptied."""
        deleted = await self._collections.delete(require_collection_id(request.collection_id, "collection_id"))
        return pb.DeleteCollectionResponse(deleted_image_count=deleted)
