"""Stored images, one or many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf import field_mask_pb2

from semsearch import translate
from semsearch.filters import Where, filter_of, path_of
from semsearch.image_sources import ImageContent
from semsearch.json_values import struct_of
from semsearch.transport.calls import Call, HasServer, too_much
from semsearch.transport.methods import collected, listed, reading, streamed, unary
from semsearch.transport.uploads import request_of
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.v1 import image_pb2
from semsearch.values import Attributes, Deletion, DuplicatesProgress, Image, Upload, UploadResult

# Millions of images.
_DUPLICATES_SECONDS = 3600.0


class GalleryMethods:
    """The methods of GalleryService about images. `collection` "" means the default one, "gallery"."""

    @unary
    def get_image(self: HasServer, image_id: str, *, collection: str = "", timeout: float | None = None) -> Call[Image]:
        """Return an image's description.

        >>> client.get_image("no-such-image")
        Traceback (most recent call last):
        ...
        semsearch.errors.NotFound: ...
        """
        server = self.server
        request = pb.GetImageRequest(id=image_id, collection=collection)
        return Call(request, lambda response: translate.image(response.image, server), timeout)

    @listed
    def list_images(
        self: HasServer,
        *,
        collection: str = "",
        where: Where | None = None,
        newest_first: bool = False,
        page_size: int = 1_000,
        timeout: float | None = None,
    ) -> Call[tuple[Image, ...]]:
        """Iterate over the images of a collection, first added first; `.pages()` has them page by page.

        With `newest_first` they are ordered by the time they were taken instead; images without it come last.

        >>> labels = {image.attributes["label"] for image in client.list_images(where={"label": ["apple", "banana"]})}
        >>> sorted(labels)
        ['apple', 'banana']
        >>> next(client.list_images(page_size=2).pages())
        (Image(...), Image(...))
        """
        server = self.server
        request = pb.ListImagesRequest(
            collection=collection,
            page_size=page_size,
            filter=filter_of(where),
            order=translate.order_of(newest_first=newest_first),
        )
        return Call(request, lambda response: tuple(translate.image(each, server) for each in response.images), timeout)

    @unary
    def count_images(
        self, *, collection: str = "", where: Where | None = None, timeout: float | None = None
    ) -> Call[int]:
        """Count the images of a collection, or those that pass a condition.

        >>> client.count_images(where={"label": "apple"}) == len(list(client.list_images(where={"label": "apple"})))
        True
        """
        request = pb.CountImagesRequest(collection=collection, filter=filter_of(where))
        return Call(request, lambda response: int(response.image_count), timeout)

    @reading
    def index_batch(
        self, uploads: Sequence[Upload | ImageContent], *, collection: str = "", timeout: float | None = None
    ) -> Call[list[UploadResult]]:
        """Add up to 100 images in one call, and return their results; `index_images` adds any number, and is faster.

        >>> [result.error for result in client.index_batch([photos / "apple-00.webp"])]
        [None]
        """
        requests = [request_of(number, upload) for number, upload in enumerate(uploads)]
        request = pb.BatchIndexImagesRequest(collection=collection, images=[each.image for each in requests])
        return Call(request, lambda response: [*map(translate.upload_result, response.results)], timeout)

    @unary
    def delete_images(
        self: HasServer, ids: Sequence[str], *, collection: str = "", timeout: float | None = None
    ) -> Call[Deletion]:
        """Delete up to 1,000 images; unknown ids are not an error.

        If the call had to be sent again, an image that an earlier attempt deleted counts as unknown.

        >>> client.delete_images(["no-such-image"])
        Deletion(deleted_count=0, unknown_ids=('no-such-image',))
        """
        if isinstance(ids, str):
            ids = [ids]
        request = pb.DeleteImagesRequest(ids=ids, collection=collection)

        def answer(response: pb.DeleteImagesResponse) -> Deletion:
            return Deletion(response.deleted_count, tuple(response.unknown_ids))

        return Call(request, answer, timeout)

    @unary
    def update_image(
        self: HasServer,
        image_id: str,
        attributes: Attributes,
        *,
        only: Sequence[str] = (),
        collection: str = "",
        timeout: float | None = None,
    ) -> Call[Image]:
        """Replace all attributes of an image, or those named in `only`; one that `attributes` lacks is removed.

        >>> image = next(client.list_images())
        >>> client.update_image(image.id, {"rating": 5}, only=["rating"]).attributes["rating"]
        5.0
        >>> "rating" in client.update_image(image.id, {}, only=["rating"]).attributes
        False
        """
        server = self.server
        image = image_pb2.Image(id=image_id, collection=collection, attributes=struct_of(attributes, "attributes"))
        mask = field_mask_pb2.FieldMask(paths=[f"attributes.{path_of(name)}" for name in only])
        request = pb.UpdateImageRequest(image=image, update_mask=mask)
        return Call(request, lambda response: translate.image(response.image, server), timeout)

    @collected
    def download_image(
        self: HasServer,
        image_id: str,
        *,
        collection: str = "",
        thumbnail: bool = False,
        max_bytes: int | None = None,
        timeout: float | None = None,
    ) -> Call[bytes]:
        """Return an image's original bytes, or its WebP thumbnail; `DownloadFailed` if these are more than `max_bytes`.

        >>> image = next(client.list_images())
        >>> len(client.download_image(image.id)) == image.size_bytes
        True
        """
        rendition = pb.RENDITION_THUMBNAIL if thumbnail else pb.RENDITION_ORIGINAL
        request = pb.DownloadImageRequest(id=image_id, collection=collection, rendition=rendition)

        def answer(responses: Any) -> bytes:
            content = b"".join(response.chunk for response in responses)
            if max_bytes is not None and len(content) > max_bytes:
                raise too_much(max_bytes)
            return content

        return Call(request, answer, timeout, max_bytes=max_bytes)

    @streamed
    def find_duplicates(
        self: HasServer, *, collection: str = "", timeout: float = _DUPLICATES_SECONDS
    ) -> Call[DuplicatesProgress]:
        """Find images that show the same picture; yield the progress, with the groups as they are found.

        >>> sum(len(progress.groups) for progress in client.find_duplicates())
        0
        """
        request = pb.FindDuplicatesRequest(collection=collection)
        return Call(request, translate.DuplicatesTranslator(self.server), timeout)
