"""Image files in a folder.

    <root>/<first 2 hex>/<other 62 hex>/original
                                        thumbnail-<first 16 hex of its own SHA-256>.webp
    <root>/released/<64 hex>            an item that named the image was deleted; others may remain

A file under its final name is complete and on disk: it is written under a temporary name, fsynced, renamed (the commit
point), and its folder is fsynced, before `put` returns. The images of one `put` go through each of these steps
together.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from weakref import WeakValueDictionary

from gateway.collections.blobs import CHECKSUM_DIGITS, Blob, Rendition, is_sha256
from gateway.errors import BlobMissing, StorageFull
from serving.durable_files import sync, write_files

_RELEASED = "released"
_CANNOT_WRITE = "the data folder cannot be written"


class FolderBlobStore:
    """A `BlobStore` in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # `put` of an existing image only renews its time; it must not overlap `remove`'s check of that time. Each image
        # has its own lock, for as long as it is in use.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def put(self, blobs: Sequence[Blob]) -> None:
        """Store images durably, all before it returns; raise `StorageFull`, after which some may be stored."""
        async with AsyncExitStack() as locks:
            for sha256 in sorted({blob.sha256 for blob in blobs}):  # in a fixed order, to avoid deadlock
                await locks.enter_async_context(self._lock(sha256))
            try:
                await asyncio.to_thread(_put, {_folder(self._root, blob.sha256): blob for blob in blobs})
            except OSError as error:
                raise StorageFull(error.strerror or _CANNOT_WRITE) from error

    async def holds(self, sha256: str, size: int) -> bool:
        """Return whether the original exists with that many bytes."""
        candidates = _candidates(self._root, sha256, Rendition.ORIGINAL)
        return await asyncio.to_thread(lambda: any(_has(path, size) for path, _ in candidates))

    async def holds_thumbnail(self, sha256: str) -> bool:
        """Return whether a thumbnail exists."""
        return await asyncio.to_thread(any, _candidates(self._root, sha256, Rendition.THUMBNAIL))

    async def read(self, sha256: str, rendition: Rendition) -> bytes:
        """Return the bytes of a rendition; raises `BlobMissing` where they are missing or damaged."""
        return await asyncio.to_thread(_read, self._root, sha256, rendition)

    async def release(self, sha256s: Sequence[str]) -> None:
        """Record that items naming these images are about to be deleted; raises `StorageFull`."""
        try:
            await asyncio.to_thread(_touch, self._root / _RELEASED, list(filter(is_sha256, sha256s)))
        except OSError as error:
            raise StorageFull(error.strerror or _CANNOT_WRITE) from error

    async def released_before(self, cutoff: float) -> list[str]:
        """Return the images that were released before a time (seconds since the epoch)."""
        return await asyncio.to_thread(_older, self._root / _RELEASED, cutoff)

    async def retain(self, sha256: str, cutoff: float) -> None:
        """Withdraw the release, if it is of before the cutoff: an item still names the image."""
        if is_sha256(sha256):
            await asyncio.to_thread(_withdraw, self._root / _RELEASED / sha256, cutoff)

    async def remove(self, sha256: str, cutoff: float) -> None:
        """Remove a released image, unless it was put again since the cutoff, and its release."""
        if not is_sha256(sha256):
            return
        async with self._lock(sha256):
            await asyncio.to_thread(_remove, _folder(self._root, sha256), cutoff)
        await self.retain(sha256, cutoff)

    def _lock(self, sha256: str) -> asyncio.Lock:
        return self._locks.setdefault(sha256, asyncio.Lock())


def _folder(root: Path, sha256: str) -> Path:
    return root / sha256[:2] / sha256[2:]


def _put(blobs: Mapping[Path, Blob]) -> None:
    missing: dict[Path, bytes] = {}
    made: set[Path] = set()
    for folder, blob in blobs.items():
        made.update(each for each in (folder, folder.parent, folder.parent.parent) if not each.exists())
        folder.mkdir(parents=True, exist_ok=True)
        files: dict[Path, bytes] = {}
        if blob.thumbnail is not None:
            digest = hashlib.sha256(blob.thumbnail).hexdigest()[:CHECKSUM_DIGITS]
            files[folder / f"thumbnail-{digest}.webp"] = blob.thumbnail
        if blob.original is not None:
            files[folder / "original"] = blob.original
        missing.update({path: content for path, content in files.items() if not _has(path, len(content))})
    write_files(missing)
    for folder in blobs:
        os.utime(folder)
    for parent in {each.parent for each in made}:
        sync(parent)


def _has(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _read(root: Path, sha256: str, rendition: Rendition) -> bytes:
    problem = "is missing"
    for path, checksum in _candidates(root, sha256, rendition):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest().startswith(checksum):
            return content
        problem = "is damaged: its checksum is not the one it was stored with"
    raise BlobMissing(sha256, problem)


def _candidates(root: Path, sha256: str, rendition: Rendition) -> Iterator[tuple[Path, str]]:
    """Yield files that may be the rendition, each with the beginning of the SHA-256 that it must have."""
    if not is_sha256(sha256):
        return
    folder = _folder(root, sha256)
    if rendition is Rendition.ORIGINAL:
        for path in sorted(folder.glob("original*")):
            yield path, sha256
    else:
        for path in sorted(folder.glob("thumbnail-*.webp")):
            yield path, path.stem.rpartition("-")[2]


def _touch(folder: Path, names: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def _older(folder: Path, cutoff: float) -> list[str]:
    released = (path for path in folder.glob("*") if is_sha256(path.name) and not path.is_dir())
    return sorted(path.name for path in released if path.stat().st_mtime < cutoff)


def _withdraw(release: Path, cutoff: float) -> None:
    with suppress(FileNotFoundError):
        if release.stat().st_mtime < cutoff:
            release.unlink()


def _remove(folder: Path, cutoff: float) -> None:
    if not folder.exists() or folder.stat().st_mtime >= cutoff:
        return
    # The rename removes all files at once: nobody sees half an image.
    doomed = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    folder.rename(doomed)
    shutil.rmtree(doomed)
