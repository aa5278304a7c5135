"""Look up, list, change, delete and read the images of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from semsearch.v1.query_pb2 import Filter

from gateway.backends.attributes import Attributes, JsonValue
from gateway.backends.embedding import Vector
from gateway.backends.filters import in_store
from gateway.backends.vector_index import Item, VectorIndex
from gateway.collections.blobs import BlobStore, Rendition
from gateway.collections.images import TAKEN_TIME, Order, StoredImage
from gateway.collections.listing import Listing
from gateway.collections.names import alias_of, errors_of
from gateway.collections.placements import Placement, Placements
from gateway.collections.writes import CollectionWrites
from gateway.errors import ImageNotFound, OriginalElsewhere

THUMBNAIL_MEDIA_TYPE = "image/webp"


@dataclass(frozen=True)
class Download:
    """A rendition's bytes."""

    media_type: str
    content: bytes


@dataclass(frozen=True)
class AttributesChange:
    """Which attributes to change: all (`paths` is empty), or those at paths of names."""

    paths: tuple[tuple[str, ...], ...] = ()

    def apply(self, old: Attributes, new: Attributes) -> Attributes:
        """Return `old` with the chosen attributes taken from `new`; those missing in `new` are removed."""
        if not self.paths:
            return new
        changed = _copy(old)
        for path in self.paths:
            _set(changed, path, *_get(new, path))
        return changed


class Gallery:
    """Reads and changes stored images."""

    def __init__(self, index: VectorIndex, blobs: BlobStore, placements: Placements, writes: CollectionWrites) -> None:
        self._index = index
        self._blobs = blobs
        self._placements = placements
        self._writes = writes

    async def get(self, collection: str, image_id: str) -> StoredImage:
        """Return an image; raises `ImageNotFound`, `CollectionNotFound`."""
        item = await self._placements.using(collection, lambda placement: self._item(collection, placement, image_id))
        return StoredImage.from_item(collection, item)

    async def vector(self, collection: str, placement: Placement, image_id: str) -> Vector:
        """Return an image's vector, made by the placement's model."""
        item = await self._item(collection, placement, image_id, vectors=True)
        assert item.vector is not None  # noqa: S101 — it was asked for
        return item.vector

    async def vectors(self, collection: str, placement: Placement, image_ids: Sequence[str]) -> list[Vector]:
        """Return the vectors of at most 5,000 images; raises `ImageNotFound`."""
        with errors_of(collection):
            items = await self._index.get_items(placement.index, image_ids, vectors=True)
        found = {item.id: item.vector for item in items if item.vector is not None}
        if missing := [image_id for image_id in image_ids if image_id not in found]:
            raise ImageNotFound(collection, missing[0])
        return [found[image_id] for image_id in image_ids]

    async def list_page(
        self,
        collection: str,
        page_size: int,
        page_token: str,
        filter_: Filter | None,
        order: Order = Order.OF_METHOD,
    ) -> tuple[Sequence[StoredImage], str]:
        """Return a page of images, and the token of the next one or ""; raises `ListingOutOfDate`.

        They are listed first added first, or newest first.
        """
        in_index = in_store(filter_) if filter_ else None

        async def read(placement: Placement) -> tuple[Sequence[StoredImage], str]:
            with errors_of(collection):
                by_time = TAKEN_TIME if order is Order.NEWEST_FIRST else ""
                listing = Listing(self._index, placement.index, in_index, by_time)
                items, token = await listing.page(page_size, page_token)
            return [StoredImage.from_item(collection, item) for item in items], token

        return await self._placements.using(collection, read)

    async def count(self, collection: str, filter_: Filter | None) -> int:
        """Return how many images a collection has, or how many of them pass a filter."""
        in_index = in_store(filter_) if filter_ else None

        async def count(placement: Placement) -> int:
            with errors_of(collection):
                return (await self._index.count(placement.index, filter_=in_index))[0]

        return await self._placements.using(collection, count)

    async def delete(self, collection: str, image_ids: Sequence[str]) -> tuple[int, Sequence[str]]:
        """Delete images; return the number deleted, and the unknown ids.

        Their files stay until the sweeper finds that no collection uses them (`sweeper.py`).
        """
        ids = list(dict.fromkeys(image_ids))
        async with self._writes.writing(collection, ids):
            with errors_of(collection):
                items = await self._index.get_items(alias_of(collection), ids)
                await self._blobs.release([StoredImage.from_item(collection, item).sha256 for item in items])
                unknown = await self._index.delete_items(alias_of(collection), ids)
        return len(ids) - len(unknown), unknown

    async def update(
        self, collection: str, image_id: str, attributes: Attributes, change: AttributesChange
    ) -> StoredImage:
        """Change an image's attributes and return the changed image."""

        async def write(placement: Placement) -> StoredImage:
            image = StoredImage.from_item(collection, await self._item(collection, placement, image_id))
            image = replace(image, attributes=change.apply(image.attributes, attributes))
            items = [Item(image_id, image.item_attributes())]
            with errors_of(collection):
                await self._index.upsert(alias_of(collection), placement.model_id, items)
            return image

        async with self._writes.writing(collection, [image_id]):
            return await self._placements.using(collection, write)

    async def pixels(self, collection: str, image_id: str) -> bytes:
        """Return an image's bytes, or those of its thumbnail if the caller kept the original; raises `BlobMissing`."""
        try:
            return (await self.download(collection, image_id, Rendition.ORIGINAL)).content
        except OriginalElsewhere:
            return (await self.download(collection, image_id, Rendition.THUMBNAIL)).content

    async def download(self, collection: str, image_id: str, rendition: Rendition) -> Download:
        """Return a rendition of an image, checked against its checksum; raises `BlobMissing`, `OriginalElsewhere`."""
        return await self.read(await self.get(collection, image_id), rendition)

    async def read(self, image: StoredImage, rendition: Rendition) -> Download:
        """Return a rendition of an image that was looked up; raises as `download` does."""
        if rendition is Rendition.ORIGINAL and image.original_at:
            raise OriginalElsewhere(image.id, image.original_at)
        content = await self._blobs.read(image.sha256, rendition)
        return Download(image.media_type if rendition is Rendition.ORIGINAL else THUMBNAIL_MEDIA_TYPE, content)

    async def _item(self, collection: str, placement: Placement, image_id: str, *, vectors: bool = False) -> Item:
        with errors_of(collection):
            items = await self._index.get_items(placement.index, [image_id], vectors=vectors)
        if not items:
            raise ImageNotFound(collection, image_id)
        return items[0]


def _copy(value: Attributes) -> dict[str, JsonValue]:
    return {name: _copy(each) if isinstance(each, dict) else each for name, each in value.items()}


def _get(attributes: Attributes, path: tuple[str, ...]) -> tuple[bool, JsonValue]:
    value: Any = attributes
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return False, None
        value = value[name]
    return True, value


def _set(attributes: dict[str, JsonValue], path: tuple[str, ...], present: bool, value: JsonValue) -> None:
    *parents, last = path
    inner: dict[str, Any] = attributes
    for name in parents:
        if not isinstance(inner.get(name), dict):
            if not present:
                return
            inner[name] = {}
        inner = inner[name]
    if present:
        inner[last] = value
    else:
        inner.pop(last, None)
