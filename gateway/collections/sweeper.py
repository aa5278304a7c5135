"""Removes files of images that were deleted and that no collection has any more.

Deleting an image removes its item, at once; its file is released then, and removed here, later. Doing both at once
could take the file from under an image that is being added in the same moment: who adds an image puts its file first,
which renews the file's time, and has `GRACE_SECONDS` to store the item. Files that were never released are never
touched, so that a gateway that is started beside a wrong or an incomplete index destroys nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog
from semsearch.v1.query_pb2 import Filter

from gateway.backends.filters import is_one_of
from gateway.backends.vector_index import VectorIndex
from gateway.collections.blobs import BlobStore
from gateway.collections.image_collections import ImageCollections
from gateway.collections.images import StoredImage
from gateway.collections.names import errors_of
from gateway.collections.placements import Placement, Placements
from gateway.errors import CollectionNotFound, GatewayError
from serving.background import WorkHealth

GRACE_SECONDS = 3_600.0
_INTERVAL_SECONDS = 3_600.0
_RETRY_SECONDS = 60.0
_BATCH = 500
_PAGE = 1_000

log = structlog.get_logger(__name__)


class Sweeper:
    """Removes what nothing names."""

    def __init__(
        self, index: VectorIndex, blobs: BlobStore, collections: ImageCollections, placements: Placements
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._collections = collections
        self._placements = placements
        self.health = WorkHealth("sweeping")

    async def keep_sweeping(self) -> None:
        """Sweep at once and then every hour; runs until it is cancelled."""
        while True:
            try:
                await self._collections.sweep()
                await self.sweep(time.time() - GRACE_SECONDS)
            except (GatewayError, TimeoutError) as error:
                self.health.failed(error, expected=True)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self.health.succeeded()
                await asyncio.sleep(_INTERVAL_SECONDS)

    async def sweep(self, cutoff: float) -> int:
        """Remove images released before `cutoff` (seconds since the epoch) that no collection has; says how many."""
        released = await self._blobs.released_before(cutoff)
        removed = 0
        for start in range(0, len(released), _BATCH):
            batch = released[start : start + _BATCH]
            named = await self._named(batch)
            for sha256 in batch:
                if sha256 in named:
                    await self._blobs.retain(sha256)
                else:
                    await self._blobs.remove(sha256, cutoff)
                    removed += 1
        if removed:
            log.info("removed files of deleted images", images=removed)
        return removed

    async def _named(self, sha256s: Sequence[str]) -> set[str]:
        """Return those of the images that some collection has."""
        test = is_one_of("image.sha256", sha256s)
        named: set[str] = set()
        for collection in await self._collections.list_all():
            name = collection.id
            with suppress(CollectionNotFound):  # deleted meanwhile, with all it named
                named |= await self._placements.using(name, lambda place, name=name: self._in(name, place, test))  # type: ignore[misc]
        return named

    async def _in(self, collection: str, placement: Placement, test: Filter) -> set[str]:
        found: set[str] = set()
        token = ""
        while True:
            with errors_of(collection):
                items, token = await self._index.list_items(
                    placement.index, page_size=_PAGE, page_token=token, filter_=test
                )
            found.update(StoredImage.from_item(collection, item).sha256 for item in items)
            if not token:
                return found
