"""A place of backups: objects by checksum, and manifests.

Where it may be is limited: a setting names a folder or a URL, and callers choose only a name below it.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from gateway.backups.errors import (
    BackupDamaged,
    BackupNotFound,
    BackupPlaceFull,
    BackupPlaceRefused,
    BackupPlaceUnavailable,
    BackupsOff,
)
from gateway.backups.manifest import (
    ID,
    Manifest,
    SavedImage,
    StoredObject,
    images_from_json,
    manifest_from_json,
    manifest_key,
    manifest_to_json,
    object_from_json,
    object_key,
    object_to_json,
    part_key,
    stored,
)
from gateway.errors import OwnerChanged
from gateway.lease import Lease
from serving.durable_files import cannot_write
from serving.object_store import ObjectMissing, ObjectStore, StoreUnavailable, StoreUnusable

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
# Many for one request, and few enough that a process that is not the owner any more deletes little.
_DELETED_AT_ONCE = 100
_FULL = {errno.ENOSPC, errno.EDQUOT}

T = TypeVar("T")


def open_place(root: str, place: str) -> BackupPlace:
    """Open a place below `root`: a name, or the root itself if `place` is empty; it may begin with the root.

    Raises:
        BackupsOff: `root` is empty.
        BackupPlaceRefused: the place is not below the root, or cannot be opened.
    """
    if not root:
        raise BackupsOff
    base = root.rstrip("/")
    name = "" if place.rstrip("/") in ("", base) else place.removeprefix(f"{base}/").rstrip("/")
    if name and not _NAME.fullmatch(name):
        raise BackupPlaceRefused(
            "Backups may lie only in the place that the gateway's setting SEMSEARCH_GATEWAY_BACKUPS names. Give a name "
            f"below it (letters, digits and ._-, with slashes), or none; this was {place[:100]!r}."
        )
    try:
        return BackupPlace(ObjectStore(f"{base}/{name}" if name else root))
    except StoreUnusable as error:
        raise BackupPlaceRefused(f"The place of backups cannot be used: {error}") from error


class BackupPlace:
    """Objects and manifests below one URL. No method blocks the event loop."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @property
    def name(self) -> str:
        """Where it is, without secrets."""
        return self._store.place

    async def check(self) -> None:
        """Check that it can be written; raises `BackupPlaceFull`, `BackupPlaceRefused`, `BackupPlaceUnavailable`."""
        await self._run(self._store.check)

    async def put(self, content: bytes) -> tuple[StoredObject, bool]:
        """Store an object durably, unless it is there with its size; return it, and whether it was written."""
        return await self._run(lambda: self._put(content))

    async def holds(self, each: StoredObject) -> bool:
        """Return whether an object is there with its size."""
        return await self._run(lambda: self._holds(each))

    async def get(self, each: StoredObject, what: str) -> bytes:
        """Return the content of an object; `what` names it in messages.

        Raises:
            BackupDamaged: it is missing, or its content has another checksum.
        """
        key = object_key(each.sha256)
        try:
            content = await self._run(lambda: self._store.get(key))
            digest = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        except ObjectMissing as error:
            raise BackupDamaged(key, what) from error
        if digest != each.sha256:
            raise BackupDamaged(key, what)
        return content

    async def images(self, each: StoredObject, what: str) -> Sequence[SavedImage]:
        """Return a list of images; `what` names it in messages.

        Raises:
            BackupDamaged: it is missing, has another checksum, or is malformed.
        """
        text = await self.get(each, what)
        try:
            return await asyncio.to_thread(images_from_json, text)
        except ValueError as error:
            raise BackupDamaged(object_key(each.sha256), what, malformed=True) from error

    async def images_of(self, part: StoredObject) -> StoredObject | None:
        """Return the list of a part's images, if all of them were copied."""
        try:
            found = object_from_json(await self._run(lambda: self._store.get(part_key(part.sha256))))
        except ObjectMissing:
            return None
        return found if found is not None and await self.holds(found) else None

    async def put_images_of(self, part: StoredObject, images: StoredObject) -> None:
        """Record that all images of a part were copied, and where their list is."""
        await self._run(lambda: self._store.put(part_key(part.sha256), object_to_json(images)))

    async def put_manifest(self, manifest: Manifest) -> str:
        """Store a manifest, and return its id: the commit point of a backup."""
        backup_id, text = manifest_to_json(manifest)
        await self._run(lambda: self._store.put(manifest_key(backup_id), text))
        return backup_id

    async def ids(self) -> Sequence[str]:
        """Return the ids of all backups, oldest first."""
        keys = await self._run(lambda: [each.key for each in self._store.list("backups/")])
        names = (key.removeprefix("backups/").removesuffix(".json") for key in keys)
        return sorted(name for name in names if ID.fullmatch(name))

    async def manifest(self, backup_id: str = "") -> tuple[str, Manifest]:
        """Return a backup's id and manifest; of the newest one without an id.

        Raises:
            BackupNotFound: there is none.
            BackupDamaged, BackupTooNew: it cannot be read.
        """
        if not backup_id:
            ids = await self.ids()
            backup_id = ids[-1] if ids else ""
        if not ID.fullmatch(backup_id):
            raise BackupNotFound(backup_id, self.name)
        try:
            text = await self._run(lambda: self._store.get(manifest_key(backup_id)))
        except ObjectMissing as error:
            raise BackupNotFound(backup_id, self.name) from error
        return backup_id, manifest_from_json(backup_id, text)

    async def keys(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        """Yield the keys below a prefix, and their sizes."""
        for each in await self._run(lambda: list(self._store.list(prefix))):
            yield each.key, each.size

    async def delete(self, keys: Sequence[str], lease: Lease) -> None:
        """Delete objects; if it is cancelled, nothing is deleted any more once it has returned.

        A store does not know the lease, so it is checked right before each request.

        Raises:
            OwnerChanged: this process is not the owner any more; some objects may be deleted.
        """
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            if not lease.is_held:
                raise OwnerChanged
            some = keys[start : start + _DELETED_AT_ONCE]
            deleting = asyncio.ensure_future(self._run(partial(self._store.delete, some)))
            try:
                await asyncio.shield(deleting)
            finally:
                await asyncio.wait([deleting])  # the thread cannot be stopped

    def _put(self, content: bytes) -> tuple[StoredObject, bool]:
        each = stored(content)
        if self._holds(each):
            return each, False
        self._store.put(object_key(each.sha256), content)
        return each, True

    def _holds(self, each: StoredObject) -> bool:
        try:
            return self._store.info(object_key(each.sha256)).size == each.size
        except ObjectMissing:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        with self._errors():
            return await asyncio.to_thread(work)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except StoreUnusable as error:
            raise BackupPlaceRefused(f"The place of backups cannot be used: {error}") from error
        except StoreUnavailable as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in _FULL:
                raise BackupPlaceFull(self.name) from error
            if isinstance(cause, OSError) and cannot_write(cause):
                raise BackupPlaceRefused(f"The place of backups {self.name} cannot be written: {cause}.") from error
            raise BackupPlaceUnavailable(self.name) from error
