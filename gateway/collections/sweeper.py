"""Remove files of deleted images that no collection uses any more.

Deleting an image removes its item at once and releases its file, which is removed here later. Removing both at once
could take the file of an image that is being added at that moment: an upload puts the file first, which renews the
file's time, and has `GRACE_SECONDS` to store the item. Files that were never released are never touched.

Whether a file is used is asked of every index of images by its name, because aliases move and can be lost:
- If an index that was listed is gone, its images may be in another one now. Nothing is removed until the next sweep.
- What only an index without an alias names stays, and stays released: the index may get an alias again, or be removed.
- Where no index of images has an alias, the aliases are lost or the index is a wrong one. Nothing is removed.

A store of images does not know the lease (see `gateway.lease`), so it is checked right before each removal. An image
that another owner has put meanwhile is spared like any that was put since the cutoff.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from semsearch.v1.query_pb2 import Filter

from gateway.backends.filters import is_one_of
from gateway.backends.refusals import IndexNotFound
from gateway.backends.vector_index import IndexInfo, VectorIndex
from gateway.collections.blobs import BlobStore
from gateway.collections.images import StoredImage
from gateway.collections.names import ALIAS_PREFIX
from gateway.collections.orphans import Orphans
from gateway.errors import GatewayError, OwnerChanged
from gateway.lease import Lease, SoleProcess
from serving.background import WorkHealth

GRACE_SECONDS = 3_600.0
_INTERVAL_SECONDS = 3_600.0
_RETRY_SECONDS = 60.0
_BATCH = 500
_AT_ONCE = 16
_PAGE = 1_000

log = structlog.get_logger(__name__)


class Sweeper:
    """Removes unused image files and indexes."""

    def __init__(
        self,
        index: VectorIndex,
        blobs: BlobStore,
        orphans: Orphans,
        lease: Lease | None = None,
        health: WorkHealth | None = None,
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._orphans = orphans
        self._lease = lease or SoleProcess()
        self._pause = asyncio.Lock()
        self.health = health or WorkHealth("sweeping")

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Wait for the removal in progress, and let nothing be removed until the `with` block ends.

        The pause is in the memory of the owner, which alone sweeps: if it ends, so does what asked for the pause.
        """
        async with self._pause:
            yield

    async def keep_sweeping(self) -> None:
        """Sweep now and then every hour; run until cancelled."""
        while True:
            try:
                async with self._pause:
                    await self._orphans.sweep(time.monotonic())
                await self.sweep(time.time() - GRACE_SECONDS)
            except (GatewayError, TimeoutError) as error:
                self.health.failed(error, expected=True)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self.health.succeeded()
                await asyncio.sleep(_INTERVAL_SECONDS)

    async def sweep(self, cutoff: float) -> int:
        """Remove images released before `cutoff` (seconds since the epoch) that no collection uses; return how many.

        Raises:
            OwnerChanged: this process is not the owner any more.
        """
        released = await self._blobs.released_before(cutoff)
        removed = 0
        for start in range(0, len(released), _BATCH):
            async with self._pause:
                removed += await self._sweep(released[start : start + _BATCH], cutoff)
        if removed:
            log.info("removed files of deleted images", images=removed)
        return removed

    async def _sweep(self, batch: Sequence[str], cutoff: float) -> int:
        try:
            used, unclear = await self._uses(batch)
        except IndexNotFound as error:
            log.info("kept the files of deleted images until the next sweep: an index was replaced", reason=str(error))
            return 0
        clear = [sha256 for sha256 in batch if sha256 not in unclear]
        for first in range(0, len(clear), _AT_ONCE):
            some = clear[first : first + _AT_ONCE]
            if not self._lease.is_held:
                raise OwnerChanged
            await asyncio.gather(
                *(
                    self._blobs.retain(sha256, cutoff) if sha256 in used else self._blobs.remove(sha256, cutoff)
                    for sha256 in some
                )
            )
        return len(set(clear) - used)

    async def _uses(self, sha256s: Sequence[str]) -> tuple[set[str], set[str]]:
        """Return those of the images that some collection uses, and those for which that is unclear.

        Raises:
            IndexNotFound: an index was removed meanwhile.
        """
        indexes = [info for info in await self._index.list_all() if _has_images(info)]
        if not any(info.aliases for info in indexes):
            return set(), set(sha256s)
        test = is_one_of("image.sha256", sha256s)
        used: set[str] = set()
        unclear: set[str] = set()
        for info in indexes:
            (used if info.aliases else unclear).update(await self._in(info.name, test))
        return used, unclear - used

    async def _in(self, index: str, test: Filter) -> set[str]:
        found: set[str] = set()
        token = ""
        while True:
            items, token = await self._index.list_items(index, page_size=_PAGE, page_token=token, filter_=test)
            found.update(StoredImage.from_item(index, item).sha256 for item in items)
            if not token:
                return found


def _has_images(info: IndexInfo) -> bool:
    """Return whether an index is, or was, a collection's, also after an import under another name."""
    return "collection" in info.labels or any(name.startswith(ALIAS_PREFIX) for name in (info.name, *info.aliases))
