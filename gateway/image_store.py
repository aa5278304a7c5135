"""Open the store of images that the settings name: a folder, or an object store."""

from __future__ import annotations

import asyncio

import structlog

from gateway.collections.blobs import BlobStore
from gateway.collections.folder_blobs import FolderBlobStore
from gateway.collections.object_blobs import ObjectBlobStore
from gateway.errors import ImageStoreUnusable
from gateway.settings import GatewaySettings
from serving.background import WorkHealth
from serving.object_store import ObjectStore, StoreUnavailable, StoreUnusable

# One call to an object store, with everything that is asked for again.
_CALL_SECONDS = 30.0

log = structlog.get_logger(__name__)


async def open_images(settings: GatewaySettings) -> tuple[BlobStore, WorkHealth]:
    """Open the store, and return it with its health; one that does not answer yet is no reason not to start.

    Raises:
        ImageStoreUnusable: The setting or the permissions are wrong.
    """
    health = WorkHealth("image-store")
    if not settings.images:
        return FolderBlobStore(settings.data / "images"), health
    try:
        store = ObjectStore(settings.images, _CALL_SECONDS)
        if store.folder is not None:
            return FolderBlobStore(store.folder), health
        await asyncio.to_thread(store.check)
    except StoreUnusable as error:
        raise ImageStoreUnusable(f"The images cannot be stored: {error}") from error
    except StoreUnavailable as error:
        log.warning("the image store does not answer", problem=str(error))
    return ObjectBlobStore(store, settings.thumbnail_cache_bytes, health), health


async def keep_checking(blobs: BlobStore) -> None:
    """Ask an object store now and then whether it answers; a folder needs no questions."""
    if isinstance(blobs, ObjectBlobStore):
        await blobs.keep_checking()
