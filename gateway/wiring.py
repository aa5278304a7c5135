"""Build the gateway from its settings: the domain (see `core`), its servicers and background work."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial

import structlog
from semsearch.embedder.v1 import embedder_service_pb2
from semsearch.index.v1 import index_service_pb2
from semsearch.v1 import (
    gallery_service_pb2,
    gallery_service_pb2_grpc,
    map_service_pb2,
    map_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)

from gateway.api.forwarding import forwarding
from gateway.api.gallery_servicer import GalleryServicer
from gateway.api.map_servicer import MapServicer
from gateway.api.model_servicer import ModelServicer
from gateway.api.owner import Owner
from gateway.api.search_servicer import SearchServicer
from gateway.backends.dependency_health import follow_health
from gateway.backends.embedder_client import EmbedderClient
from gateway.backends.embedding import Model
from gateway.backends.index_client import IndexClient
from gateway.collections.blobs import BlobStore
from gateway.collections.folder_blobs import FolderBlobStore
from gateway.collections.image_collections import ImageCollections
from gateway.collections.names import DEFAULT_COLLECTION
from gateway.collections.object_blobs import ObjectBlobStore
from gateway.core import Core, build_core
from gateway.errors import CollectionNotFound, GatewayError, ImageStoreUnusable
from gateway.ingest.ingest import IngestLimits
from gateway.lease import FileLease, Lease
from gateway.maps.maps import MapLimits
from gateway.readiness import Need
from gateway.settings import GatewaySettings
from gateway.switching.index_copy import CopyLimits
from gateway.web.application import web_application
from serving.background import WorkHealth, keep_running
from serving.channels import open_channel
from serving.object_store import ObjectStore, StoreUnavailable, StoreUnusable
from serving.page_tokens import PageTokens, load_key
from serving.server import GrpcService, Served

_RETRY_SECONDS = 0.5
_TAKEOVER_SECONDS = 5.0
# Image bytes per call to the embedder; more is no faster.
_BATCH_BYTES = 16 * 2**20
_EMBEDDER = embedder_service_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name
_INDEX = index_service_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name
_SEARCHES = search_service_pb2.DESCRIPTOR.services_by_name["SearchService"]
_GALLERIES = gallery_service_pb2.DESCRIPTOR.services_by_name["GalleryService"]
_MAPS = map_service_pb2.DESCRIPTOR.services_by_name["MapService"]
_MODELS = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_gateway(settings: GatewaySettings) -> AsyncIterator[Served]:
    """Open the gateway's four services.

    The embedder and the index need not be up yet. Their needs are prepared in the background; the services' health
    reports when they are met. If another process owns the data folder, this one answers reads and passes changes on.
    """
    tokens = PageTokens(load_key(settings.data / "gateway" / "page_token_key"))
    lease = FileLease(settings.data / "gateway" / "owner", settings.address_for_others)
    async with (
        # Released last, when no call is in progress any more.
        _released_at_end(lease),
        # A process that stops keeps the lease while its calls finish.
        Owner(lease, settings.max_message_bytes, settings.drain_seconds + _TAKEOVER_SECONDS) as owner,
        open_channel(settings.embedder, max_message_bytes=settings.max_message_bytes) as embedder_channel,
        open_channel(settings.index, max_message_bytes=settings.max_message_bytes) as index_channel,
    ):
        embedder = EmbedderClient(embedder_channel)
        batch_bytes = min(_BATCH_BYTES, settings.max_message_bytes // 2)
        blobs = await _open_images(settings)
        core = build_core(
            embedder,
            IndexClient(index_channel),
            blobs,
            settings.data / "gateway" / "model_switch",
            settings.data / "gateway" / "maps",
            ingest_limits=IngestLimits(pending_bytes=settings.max_pending_bytes, batch_bytes=batch_bytes),
            copy_limits=CopyLimits(batch_bytes=batch_bytes),
            map_limits=MapLimits(
                threads=settings.map_threads or max(1, (os.cpu_count() or 1) // 2),
                memory_bytes=settings.map_memory_bytes,
            ),
            lease=lease,
        )
        readiness = core.readiness
        searches = forwarding(SearchServicer(core.search, core.counting, core.tagging, tokens), _SEARCHES, owner)
        galleries = forwarding(
            GalleryServicer(core.gallery, core.duplicates, core.ingest, core.collections, tokens), _GALLERIES, owner
        )
        models = forwarding(ModelServicer(embedder, core.switch, tokens), _MODELS, owner)
        maps = forwarding(MapServicer(core.maps), _MAPS, owner)
        following_embedder, following_index = WorkHealth("following-embedder"), WorkHealth("following-index")
        preparing = WorkHealth("default-collection")

        async with asyncio.TaskGroup() as background:
            tasks = [
                background.create_task(keep_running(health, work))
                for health, work in (
                    (
                        following_embedder,
                        partial(
                            follow_health, embedder_channel, _EMBEDDER, Need.EMBEDDER, readiness, following_embedder
                        ),
                    ),
                    (
                        following_index,
                        partial(follow_health, index_channel, _INDEX, Need.INDEX, readiness, following_index),
                    ),
                    (preparing, partial(_prepare_gallery, core, lease, preparing)),
                    (core.words.health, partial(_as_owner, lease, core.words.keep_filled, core.words.await_filled)),
                    (core.switch.health, partial(_as_owner, lease, core.switch.keep_switching)),
                    (core.sweeper.health, partial(_as_owner, lease, core.sweeper.keep_sweeping)),
                    (core.maps.health, partial(_as_owner, lease, core.maps.keep_mapping)),
                )
            ]
            services = {_SEARCHES: searches, _GALLERIES: galleries, _MODELS: models, _MAPS: maps}
            yield Served(
                [
                    GrpcService(
                        _SEARCHES.full_name,
                        lambda server: search_service_pb2_grpc.add_SearchServiceServicer_to_server(searches, server),
                        lambda: readiness.watch(Need.EMBEDDER, Need.INDEX, Need.GALLERY, Need.WORDS),
                        (core.words.health,),
                    ),
                    GrpcService(
                        _GALLERIES.full_name,
                        lambda server: gallery_service_pb2_grpc.add_GalleryServiceServicer_to_server(galleries, server),
                        lambda: readiness.watch(Need.EMBEDDER, Need.INDEX, Need.GALLERY),
                        (following_index, preparing, core.sweeper.health),
                    ),
                    GrpcService(
                        _MAPS.full_name,
                        lambda server: map_service_pb2_grpc.add_MapServiceServicer_to_server(maps, server),
                        lambda: readiness.watch(Need.INDEX, Need.GALLERY),
                        (core.maps.health,),
                    ),
                    GrpcService(
                        _MODELS.full_name,
                        lambda server: model_service_pb2_grpc.add_ModelServiceServicer_to_server(models, server),
                        lambda: readiness.watch(Need.EMBEDDER),
                        (following_embedder, core.switch.health),
                    ),
                ],
                partial(web_application, services, core.gallery, settings),
            )
            for task in tasks:
                task.cancel()


async def _open_images(settings: GatewaySettings) -> BlobStore:
    """Open the image store; one that does not answer yet is no reason not to start.

    Raises:
        ImageStoreUnusable: the setting or the permissions are wrong.
    """
    if not settings.images:
        return FolderBlobStore(settings.data / "images")
    try:
        store = ObjectStore(settings.images)
        if store.folder is not None:
            return FolderBlobStore(store.folder)
        await asyncio.to_thread(store.check)
    except StoreUnusable as error:
        raise ImageStoreUnusable(f"The images cannot be stored: {error}") from error
    except StoreUnavailable as error:
        log.warning("the image store does not answer", problem=str(error))
    return ObjectBlobStore(store, settings.thumbnail_cache_bytes)


@asynccontextmanager
async def _released_at_end(lease: FileLease) -> AsyncIterator[None]:
    with lease:
        lease.try_acquire()
        yield


_Work = Callable[[], Coroutine[None, None, None]]


async def _as_owner(lease: Lease, work: _Work, meanwhile: _Work | None = None) -> None:
    """Do some work once this process is the owner; until then, do what follows the owner's work."""
    async with asyncio.TaskGroup() as until_owner:
        following = until_owner.create_task(meanwhile()) if meanwhile and not lease.is_held else None
        await lease.acquire()
        if following is not None:
            following.cancel()
    await work()


async def _prepare_gallery(core: Core, lease: Lease, health: WorkHealth) -> None:
    """Create the default collection as soon as the embedder and the index answer; log collections of other models.

    A process that is not the owner waits for the owner's.
    """
    while True:
        try:
            if lease.is_held:
                await core.collections.ensure_default()
                await _log_other_models(core.collections, await core.models.serving())
            else:
                await core.collections.get(DEFAULT_COLLECTION)
        except CollectionNotFound:
            await asyncio.sleep(_RETRY_SECONDS)
        except (GatewayError, TimeoutError) as error:
            health.failed(error, expected=True)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return await core.readiness.set(Need.GALLERY, True)


async def _log_other_models(collections: ImageCollections, serving: Model) -> None:
    """Log which collections are still on another model, and how to switch them."""
    if others := [each for each in await collections.list_all() if each.model_id != serving.id]:
        log.info(
            "these collections keep the model that embedded their images; to re-embed them with the serving model: "
            f"semsearch model activate {serving.id.partition('@')[0]}",
            collections=[each.id for each in others],
            models=sorted({each.model_id for each in others}),
            serving=serving.id,
        )
