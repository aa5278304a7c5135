"""Find the images of a collection that show the same picture.

All hashes are read first, page by page. Images with near hashes are candidates, mostly few; only their vectors are
read, in batches. So memory holds an id and a hash for each image, and the vectors of the largest set of candidates.

A group is the best copy and all images that show the same picture as that copy. Keeping only the first image of each
group loses no other picture, even if a series of shots leads from one picture to another in small steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.backends.embedding import Vector
from gateway.backends.vector_index import MAX_ITEMS_A_CALL, VectorIndex
from gateway.collections.gallery import Gallery
from gateway.collections.image_collections import ImageCollections
from gateway.collections.images import StoredImage
from gateway.collections.names import alias_of, errors_of
from gateway.collections.near_hashes import linked_hashes
from gateway.collections.same_picture import DIGITS, MAX_BITS, PLAIN, hashes_of, same_as

_PAGE = 1_000

Group = Sequence[StoredImage]


@dataclass(frozen=True)
class DuplicatesFound:
    """Groups found since the last report, best copies first, and the progress.

    `total` grows by the number of candidates once all images are read. `unhashed` images were added before hashes
    existed, and `plain` images have almost no contrast; neither are compared.
    """

    groups: Sequence[Group]
    done: int
    total: int
    unhashed: int
    plain: int


class Duplicates:
    """Finds groups of images that show the same picture."""

    def __init__(self, index: VectorIndex, gallery: Gallery, collections: ImageCollections) -> None:
        self._index = index
        self._gallery = gallery
        self._collections = collections

    async def find(self, collection: str) -> AsyncGenerator[DuplicatesFound, None]:
        """Yield the groups of a collection and the progress; close the generator to stop early.

        The groups are ordered by their oldest candidates. Images added during the search may be missed; deleted ones
        are left out.

        Raises:
            CollectionNotFound: The collection does not exist, or was deleted during the search.
            ListingOutOfDate: It was emptied or switched to another model during the search.
        """
        total = (await self._collections.get(collection)).image_count
        ids: list[str] = []
        texts: list[str] = []
        done = unhashed = plain = 0
        token: str | None = ""
        while token is not None:
            images, following = await self._gallery.list_page(collection, _PAGE, token, None)
            token = following or None
            for image in images:
                if len(image.perceptual_hash) != DIGITS:
                    unhashed += 1
                elif image.perceptual_hash == PLAIN:
                    plain += 1
                else:
                    ids.append(image.id)
                    texts.append(image.perceptual_hash)
            done += len(images)
            total = max(total, done)
            yield DuplicatesFound((), done, total, unhashed, plain)
        sets = await asyncio.to_thread(linked_hashes, hashes_of(texts), MAX_BITS)
        total = done + sum(map(len, sets))
        for batch in _batches([[ids[place] for place in places.tolist()] for places in sets]):
            groups = await self._groups(collection, batch)
            done += sum(map(len, batch))
            yield DuplicatesFound(groups, done, total, unhashed, plain)
        yield DuplicatesFound((), total, total, unhashed, plain)

    async def _groups(self, collection: str, sets: Sequence[Sequence[str]]) -> list[Group]:
        """Return the groups in some sets of candidates."""
        found: dict[str, tuple[StoredImage, Vector]] = {}
        ids = [image_id for candidates in sets for image_id in candidates]
        for start in range(0, len(ids), MAX_ITEMS_A_CALL):
            with errors_of(collection):
                items = await self._index.get_items(
                    alias_of(collection), ids[start : start + MAX_ITEMS_A_CALL], vectors=True
                )
            for item in items:
                assert item.vector is not None  # noqa: S101 — it was requested
                found[item.id] = (StoredImage.from_item(collection, item), item.vector)
        existing = [[found[image_id] for image_id in candidates if image_id in found] for candidates in sets]
        return await asyncio.to_thread(lambda: [group for each in existing for group in groups_of(each)])


def groups_of(candidates: Sequence[tuple[StoredImage, Vector]]) -> Iterator[Group]:
    """Yield the groups among images with their vectors, given oldest first."""
    ranked = sorted(candidates, key=lambda each: _quality(each[0]), reverse=True)  # stable: of equals, the older first
    images, vectors = [image for image, _ in ranked], [vector for _, vector in ranked]
    hashes = hashes_of([image.perceptual_hash for image in images])
    left = np.arange(len(images))
    while len(left) > 1:
        best, others = left[0], left[1:]
        same = same_as(hashes[best], vectors[best], hashes[others], [vectors[each] for each in others])
        if same.any():
            yield [images[best], *(images[each] for each in others[same])]
        left = others[~same]


def _quality(image: StoredImage) -> tuple[int, int]:
    return image.width * image.height, image.size_bytes


def _batches(sets: Sequence[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    """Yield batches of candidate sets, each about a page of images."""
    batch: list[Sequence[str]] = []
    for candidates in sets:
        batch.append(candidates)
        if sum(map(len, batch)) >= _PAGE:
            yield batch
            batch = []
    if batch:
        yield batch
