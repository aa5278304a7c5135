"""Image files in an object store, which several machines share.

    <first 2 hex>/<other 62 hex>/original-<generation>
                                 thumbnail-<generation>-<digest>.webp
    released/<64 hex>/<8 hex>    an item that named the image was deleted; others may remain

A digest is the first 16 hexadecimal digits of the thumbnail's own SHA-256. Names without a generation are those of a
folder of images (`folder_blobs`), so a copy of such a folder is a store.

An object store has no locks and no renames, and a process that lost its lease may still delete what it has listed, at
any time. So a name that was deleted is never used again:
1. An image that is not there, or that is released, is stored as a new generation: eight random digits.
2. An image that is not released may be shared by many items. `put` then adds what is missing to the newest generation,
   which no removal can have listed: it was put again since, or never released.
3. Each release has a name of its own, and is withdrawn only if it is older than the cutoff. So an old removal withdraws
   no release of later.

A release must be older than the sweeper's grace, within which the caller of `put` has stored its item. The cutoff is a
time of this machine, and an object has one of the store: they may differ by minutes, not by the grace.

A read compares the whole content with its checksum. There is no reading of ranges, because a part has no checksum.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from prometheus_client import Counter

from gateway.collections.blobs import CHECKSUM_DIGITS, Blob, Rendition, is_sha256
from gateway.errors import BlobMissing, DependencyUnavailable
from gateway.recently_used import RecentlyUsed
from serving.background import WorkHealth
from serving.object_store import ObjectInfo, ObjectMissing, ObjectStore, StoreUnavailable

# Requests of one process to the store at the same time.
REQUESTS = 16
# How often the store is asked whether it answers; more often while it does not.
CHECK_SECONDS = 30.0
RECHECK_SECONDS = 5.0
_RELEASED = "released/"
_GENERATION = re.compile(
    r"original(?:-(?P<original>[0-9a-f]+))?|thumbnail(?:-(?P<thumbnail>[0-9a-f]+))?-[0-9a-f]+\.webp"
)
_GENERATION_BYTES = 4

_LOOKUPS = Counter(
    "semsearch_gateway_thumbnail_lookups", "Thumbnails of an object store by whether they were cached.", ["outcome"]
)
_HITS, _MISSES = _LOOKUPS.labels("hit"), _LOOKUPS.labels("miss")

T = TypeVar("T")


class ObjectBlobStore:
    """A `BlobStore` in an object store."""

    def __init__(self, store: ObjectStore, cache_bytes: int = 0, health: WorkHealth | None = None) -> None:
        """Use a store; thumbnails that were read last are kept in memory, up to `cache_bytes`.

        `health` gets whether the store answers.
        """
        self._store = store
        self._thumbnails: RecentlyUsed[str, bytes] = RecentlyUsed(cache_bytes, len)
        self._threads = ThreadPoolExecutor(REQUESTS, "image-store")
        self.health = health or WorkHealth("image-store")

    async def keep_checking(self) -> None:
        """Ask the store now and then whether it answers; run until cancelled."""
        while True:
            with suppress(DependencyUnavailable):
                await self._run(lambda: list(self._store.list("check/")))
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    async for is_well in self.health.watch():
                        if not is_well:
                            break
            if not self.health.is_well:
                await asyncio.sleep(RECHECK_SECONDS)

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
        await asyncio.gather(
            *(
                self._run(self._store.put, f"{_releases(sha256)}{_random()}", b"")
                for sha256 in set(filter(is_sha256, sha256s))
            )
        )

    async def released_before(self, cutoff: float) -> list[str]:
        """Return the images that were released before a time (seconds since the epoch)."""
        found = await self._run(lambda: list(self._store.list(_RELEASED)))
        released = (each.key.split("/") for each in found if each.modified < cutoff)
        # Releases in a copy of a folder have no name of their own, and are ignored.
        return sorted({parts[1] for parts in released if len(parts) == 3 and is_sha256(parts[1])})

    async def retain(self, sha256: str, cutoff: float) -> None:
        """Withdraw the releases of before the cutoff: an item still names the image."""
        await self._run(self._withdraw, sha256, cutoff)

    async def remove(self, sha256: str, cutoff: float) -> None:
        """Remove a released image's objects of before the cutoff, and its releases if nothing is left."""
        self._thumbnails.forget(sha256)
        await self._run(self._remove, sha256, cutoff)

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *arguments))
        except StoreUnavailable as error:
            self.health.failed(error, expected=True, event="the image store does not answer")
            raise DependencyUnavailable("image store") from error
        self.health.succeeded()
        return result

    def _put(self, blob: Blob) -> None:
        """Store an image; the original is there before its thumbnail."""
        # First the release: whoever removes an image withdraws it last.
        is_released = any(True for _ in self._store.list(_releases(blob.sha256)))
        existing = [] if is_released else self._list(blob.sha256)
        generation = _generation(existing[0].key) if existing else f"-{_random()}"
        wanted: dict[str, bytes] = {}
        if blob.original is not None:
            wanted[f"original{generation}"] = blob.original
        if blob.thumbnail is not None:
            digest = hashlib.sha256(blob.thumbnail).hexdigest()[:CHECKSUM_DIGITS]
            wanted[f"thumbnail{generation}-{digest}.webp"] = blob.thumbnail
        sizes = {each.key: each.size for each in existing}
        for name, content in wanted.items():
            key = _folder(blob.sha256) + name
            if sizes.get(key) != len(content):
                self._store.put(key, content)

    def _read(self, sha256: str, rendition: Rendition) -> bytes:
        problem = "is missing"
        for key in [each.key for each in self._list(sha256) if _is(each, rendition)]:
            checksum = sha256 if rendition is Rendition.ORIGINAL else _digest(key)
            try:
                content = self._store.get(key)
            except ObjectMissing:
                continue
            if hashlib.sha256(content).hexdigest().startswith(checksum):
                return content
            problem = "is damaged: its checksum is not the one it was stored with"
        raise BlobMissing(sha256, problem)

    def _list(self, sha256: str) -> list[ObjectInfo]:
        """Return an image's objects, the newest first."""
        if not is_sha256(sha256):
            return []
        return sorted(self._store.list(_folder(sha256)), key=lambda each: (each.modified, each.key), reverse=True)

    def _withdraw(self, sha256: str, cutoff: float) -> None:
        releases = self._store.list(_releases(sha256)) if is_sha256(sha256) else ()
        self._store.delete([each.key for each in releases if each.modified < cutoff])

    def _remove(self, sha256: str, cutoff: float) -> None:
        found = self._list(sha256)
        old = [each.key for each in found if each.modified < cutoff]
        self._store.delete(old)
        if len(old) == len(found):
            self._withdraw(sha256, cutoff)


def _folder(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256[2:]}/"


def _releases(sha256: str) -> str:
    return f"{_RELEASED}{sha256}/"


def _random() -> str:
    return secrets.token_hex(_GENERATION_BYTES)


def _generation(key: str) -> str:
    """Return the part of an object's name that all objects of its generation share, for example "-1a2b3c4d"."""
    match = _GENERATION.fullmatch(key.rpartition("/")[2])
    generation = (match["original"] or match["thumbnail"]) if match else None
    return f"-{generation}" if generation else ""


def _is(info: ObjectInfo, rendition: Rendition) -> bool:
    return info.key.rpartition("/")[2].startswith(rendition.value)


def _digest(key: str) -> str:
    return key.removesuffix(".webp").rpartition("-")[2]
