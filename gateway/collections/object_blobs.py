"""Image files in an object store, which several machines share.

    <first 2 hex>/<other 62 hex>/original                  or original-<generation>
                                 thumbnail-<digest>.webp   or thumbnail-<generation>-<digest>.webp
    released/<64 hex>            an item that named the image was deleted; others may remain

A digest is the first 16 hexadecimal digits of the thumbnail's own SHA-256. These are the names of a folder of images
(`folder_blobs`), so a copy of such a folder is a store.

An object store has no locks and no renames, and a process that lost its lease may still be removing images. So an image
that is released is never trusted to stay: `put` writes it again as a generation of its own, under names that no removal
in progress has listed. An image without a release is removed by nobody; a release must be older than the sweeper's
grace, within which the caller of `put` has stored its item.

The cutoff is a time of this machine, and an object has one of the store: they may differ by minutes, not by the grace.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog
from prometheus_client import Counter

from gateway.collections.blobs import CHECKSUM_DIGITS, Blob, Rendition
from gateway.errors import BlobMissing, DependencyUnavailable
from gateway.recently_used import RecentlyUsed
from serving.object_store import ObjectInfo, ObjectMissing, ObjectStore, StoreUnavailable

# Requests of one process to the store at the same time.
REQUESTS = 16
_RELEASED = "released/"
_GENERATION_BYTES = 4

_LOOKUPS = Counter(
    "semsearch_gateway_thumbnail_lookups", "Thumbnails of an object store by whether they were cached.", ["outcome"]
)
_HITS, _MISSES = _LOOKUPS.labels("hit"), _LOOKUPS.labels("miss")

T = TypeVar("T")

log = structlog.get_logger(__name__)


class ObjectBlobStore:
    """A `BlobStore` in an object store."""

    def __init__(self, store: ObjectStore, cache_bytes: int = 0) -> None:
        """Use a store; thumbnails that were read last are kept in memory, up to `cache_bytes`."""
        self._store = store
        self._thumbnails: RecentlyUsed[str, bytes] = RecentlyUsed(cache_bytes, len)
        self._threads = ThreadPoolExecutor(REQUESTS, "image-store")

    async def put(self, blobs: Sequence[Blob]) -> None:
        """Store images durably, all before it returns; after an error, some may be stored."""
        results = await asyncio.gather(*(self._run(self._put, blob) for blob in blobs), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def holds(self, sha256: str, size: int) -> bool:
        """Return whether the original exists with that many bytes."""
        found = await self._run(self._list, sha256)
        return any(_is(each, Rendition.ORIGINAL) and each.size == size for each in found)

    async def holds_thumbnail(self, sha256: str) -> bool:
        """Return whether a thumbnail exists."""
        return any(_is(each, Rendition.THUMBNAIL) for each in await self._run(self._list, sha256))

    async def read(self, sha256: str, rendition: Rendition) -> bytes:
        """Return the bytes of a rendition; raises `BlobMissing` where they are missing or damaged."""
        if rendition is Rendition.ORIGINAL:
            return await self._run(self._read, sha256, rendition)
        content = self._thumbnails.get(sha256)
        (_MISSES if content is None else _HITS).inc()
        if content is None:
            content = await self._run(self._read, sha256, rendition)
            self._thumbnails.put(sha256, content)
        return content

    async def release(self, sha256s: Sequence[str]) -> None:
        """Record that items naming these images are about to be deleted."""
        await asyncio.gather(*(self._run(self._store.put, _RELEASED + sha256, b"") for sha256 in set(sha256s)))

    async def released_before(self, cutoff: float) -> list[str]:
        """Return the images that were released before a time (seconds since the epoch)."""
        found = await self._run(lambda: list(self._store.list(_RELEASED)))
        return sorted(each.key.removeprefix(_RELEASED) for each in found if each.modified < cutoff)

    async def retain(self, sha256: str) -> None:
        """Withdraw the release: an item still names the image."""
        await self._run(self._store.delete, [_RELEASED + sha256])

    async def remove(self, sha256: str, cutoff: float) -> None:
        """Remove a released image's objects of before the cutoff, and its release if nothing is left."""
        self._thumbnails.forget(sha256)
        await self._run(self._remove, sha256, cutoff)

    def close(self) -> None:
        """Wait for the requests in progress."""
        self._threads.shutdown()

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *arguments))
        except StoreUnavailable as error:
            log.warning("the image store does not answer", problem=str(error))
            raise DependencyUnavailable("image store") from error

    def _put(self, blob: Blob) -> None:
        """Store an image; the original is there before its thumbnail."""
        folder = _folder(blob.sha256)
        digest = hashlib.sha256(blob.thumbnail).hexdigest()[:CHECKSUM_DIGITS]
        original, thumbnail = f"{folder}original", f"{folder}thumbnail-{digest}.webp"
        existing: dict[str, int] = {}
        if self._is_released(blob.sha256):
            generation = secrets.token_hex(_GENERATION_BYTES)
            original, thumbnail = f"{folder}original-{generation}", f"{folder}thumbnail-{generation}-{digest}.webp"
        else:
            existing = {each.key: each.size for each in self._list(blob.sha256)}
        if blob.original is not None and existing.get(original) != len(blob.original):
            self._store.put(original, blob.original)
        if existing.get(thumbnail) != len(blob.thumbnail):
            self._store.put(thumbnail, blob.thumbnail)

    def _is_released(self, sha256: str) -> bool:
        try:
            self._store.info(_RELEASED + sha256)
        except ObjectMissing:
            return False
        return True

    def _read(self, sha256: str, rendition: Rendition) -> bytes:
        problem = "is missing"
        for key, checksum in self._candidates(sha256, rendition):
            try:
                content = self._store.get(key)
            except ObjectMissing:
                continue
            if hashlib.sha256(content).hexdigest().startswith(checksum):
                return content
            problem = "is damaged: its checksum is not the one it was stored with"
        raise BlobMissing(sha256, problem)

    def _candidates(self, sha256: str, rendition: Rendition) -> Iterator[tuple[str, str]]:
        """Yield keys that may be the rendition, each with the beginning of the SHA-256 that it must have."""
        usual = f"{_folder(sha256)}original"
        if rendition is Rendition.ORIGINAL:
            yield usual, sha256  # without asking for a list
        for each in self._list(sha256):
            if _is(each, rendition) and each.key != usual:
                yield each.key, sha256 if rendition is Rendition.ORIGINAL else _digest(each.key)

    def _list(self, sha256: str) -> list[ObjectInfo]:
        return list(self._store.list(_folder(sha256)))

    def _remove(self, sha256: str, cutoff: float) -> None:
        found = self._list(sha256)
        old = [each.key for each in found if each.modified < cutoff]
        self._store.delete(old)
        if len(old) == len(found):
            self._store.delete([_RELEASED + sha256])


def _folder(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256[2:]}/"


def _is(info: ObjectInfo, rendition: Rendition) -> bool:
    return info.key.rpartition("/")[2].startswith(rendition.value)


def _digest(key: str) -> str:
    return key.removesuffix(".webp").rpartition("-")[2]
