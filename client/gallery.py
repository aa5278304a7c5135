"""GalleryService: the images that are searched, and their collections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.v1 import gallery_service_pb2_grpc as pb_grpc

from client import translate
from client.connection import Connection
from client.results import Collection, Deletion, Image, UploadResult
from client.search import Equal
from client.upload_stream import Upload, UploadStream

# A stream lives as long as there is something to send; the bound is for one that both sides have forgotten.
_STREAM_SECONDS = 24 * 3600.0
_PAGE_SIZE = 1_000


class GalleryCalls(Connection):
    """The calls of GalleryService. `collection` "" means the default one; every method raises `SemsearchError`."""

    def index_images(self, uploads: Iterable[Upload], *, collection: str = "") -> Iterator[UploadResult]:
        """Adds images and yields what became of each as soon as it is durable and searchable, in their order.

        One bad image does not end it. What was yielded stays, also where the iteration is ended early or fails.
        """
        stream = UploadStream(uploads, collection)
        call = pb_grpc.GalleryServiceStub(self.channel).IndexImages(iter(stream), timeout=_STREAM_SECONDS)
        try:
            with self.translated_errors():
                for response in call:
                    for result in response.results:
                        stream.answered(result.sequence)
                        yield translate.upload_result(result)
            stream.raise_fault()
        finally:
            stream.close()
            call.cancel()

    def get_image(self, image_id: str, *, collection: str = "") -> Image:
        """Returns an image's description."""
        request = pb.GetImageRequest(id=image_id, collection=collection)
        return translate.image(self.call(pb_grpc.GalleryServiceStub(self.channel).GetImage, request).image)

    def list_images(self, *, collection: str = "", equal: Equal | None = None) -> Iterator[Image]:
        """Yields the images of a collection, oldest first, page by page as they are needed."""
        request = pb.ListImagesRequest(
            collection=collection, page_size=_PAGE_SIZE, filter=translate.filter_of(equal or {})
        )
        while True:
            page = self.call(pb_grpc.GalleryServiceStub(self.channel).ListImages, request)
            yield from map(translate.image, page.images)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def delete_images(self, ids: Sequence[str], *, collection: str = "") -> Deletion:
        """Deletes up to 1,000 images; ids that the collection does not have are no error."""
        request = pb.DeleteImagesRequest(ids=ids, collection=collection)
        response = self.call(pb_grpc.GalleryServiceStub(self.channel).DeleteImages, request)
        return Deletion(response.deleted_count, tuple(response.unknown_ids))

    def download_image(self, image_id: str, *, collection: str = "", thumbnail: bool = False) -> bytes:
        """Returns an image's bytes as they came, or its WebP thumbnail."""
        rendition = pb.RENDITION_THUMBNAIL if thumbnail else pb.RENDITION_ORIGINAL
        request = pb.DownloadImageRequest(id=image_id, collection=collection, rendition=rendition)
        stub = pb_grpc.GalleryServiceStub(self.channel)
        with self.translated_errors():
            return b"".join(part.chunk for part in stub.DownloadImage(request, timeout=self.timeout_seconds))

    def create_collection(self, collection: str, *, display_name: str = "") -> Collection:
        """Creates a collection."""
        request = pb.CreateCollectionRequest(collection_id=collection, display_name=display_name)
        response = self.call(pb_grpc.GalleryServiceStub(self.channel).CreateCollection, request)
        return translate.collection(response.collection)

    def get_collection(self, collection: str) -> Collection:
        """Returns a collection's description."""
        request = pb.GetCollectionRequest(collection_id=collection)
        response = self.call(pb_grpc.GalleryServiceStub(self.channel).GetCollection, request)
        return translate.collection(response.collection)

    def list_collections(self) -> Iterator[Collection]:
        """Yields the collections by id."""
        request = pb.ListCollectionsRequest(page_size=_PAGE_SIZE)
        while True:
            page = self.call(pb_grpc.GalleryServiceStub(self.channel).ListCollections, request)
            yield from map(translate.collection, page.collections)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def delete_collection(self, collection: str) -> int:
        """Deletes a collection and returns how many images went with it; the default one is emptied and stays."""
        request = pb.DeleteCollectionRequest(collection_id=collection)
        response = self.call(pb_grpc.GalleryServiceStub(self.channel).DeleteCollection, request)
        return response.deleted_image_count
