"""Build the gateway from its settings: the domain (see `core`), its servicers and background work."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from semsearch.index.v1 import index_service_pb2
from semsearch.v1 import (
    backup_service_pb2,
    backup_service_pb2_grpc,
    gallery_service_pb2,
    gallery_service_pb2_grpc,
    map_service_pb2,
    map_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)

from gateway.advertised import advertised_address
from gateway.api.backup_servicer import BackupServicer
from gateway.api.forwarding import forwarding
from gateway.api.gallery_servicer import GalleryServicer
from gateway.api.limits import limits
from gateway.api.map_servicer import MapServicer
from gateway.api.model_servicer import ModelServicer
from gateway.api.owner import Owner
from gateway.api.search_servicer import SearchServicer
from gateway.backends.backup_clients import IndexTransferClient, ModelTransferClient
from gateway.backends.bulk_embedding import CALL_BYTES, BulkEmbedding
from gateway.backends.coordination_client import LeaseClient, RecordClient
from gateway.backends.dependency_health import follow_health
from gateway.backends.embedder_pool import open_pool
from gateway.backends.embedders import Embedders
from gateway.backends.embedding import Model
from gateway.backends.index_client import IndexClient
from gateway.backends.index_replicas import ReplicatedIndex, open_replicas
from gateway.backups.backups import Backups
from gateway.backups.restore_state import RestoreState
from gateway.backups.restoring import Restoring
from gateway.backups.saving import Saving
from gateway.collections.blobs import BlobStore
from gateway.collections.image_collections import ImageCollections
from gateway.collections.names import DEFAULT_COLLECTION
from gateway.core import Core, CoreHealth, build_core
from gateway.errors import CollectionNotFound, GatewayError
from gateway.image_store import keep_checking, open_images
from gateway.ingest.ingest import IngestLimits
from gateway.lease import OwnerLease, SoleProcess, Term
from gateway.living_processes import living
from gateway.maps.map_maker import MapLimits
from gateway.page_key import PageKey
from gateway.readiness import Need, Readiness
from gateway.settings import GatewaySettings
from gateway.switching.index_copy import CopyLimits
from gateway.terms import Serving, Terms, Work
from gateway.web.application import web_application
from serving.background import WorkHealth, keep_running
from serving.byte_budget import ByteBudget
from serving.channels import Channels
from serving.limits_servicer import SERVICE as LIMITS
from serving.limits_servicer import LimitsServicer, limits_service
from serving.page_tokens import PageTokens
from serving.patience import Patience
from serving.server import GrpcService, Served

_RETRY_SECONDS = 0.5
_TAKEOVER_SECONDS = 5.0
# How long calls wait for an index that is being restarted, which takes an idle machine a second or two. A client waits
# for 30 s by default, and should learn the reason before that.
_PATIENCE_SECONDS = 25.0
# Image bytes per call to the embedder; more is no faster.
_BATCH_BYTES = 16 * 2**20
_INDEX = index_service_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name
_SEARCHES = search_service_pb2.DESCRIPTOR.services_by_name["SearchService"]
_GALLERIES = gallery_service_pb2.DESCRIPTOR.services_by_name["GalleryService"]
_BACKUPS = backup_service_pb2.DESCRIPTOR.services_by_name["BackupService"]
_MAPS = map_service_pb2.DESCRIPTOR.services_by_name["MapService"]
_MODELS = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_gateway(settings: GatewaySettings, channels: Channels) -> AsyncIterator[Served]:
    """Open the gateway's services.

    The embedder and the index need not be up yet. Their needs are prepared in the background; the services' health
    reports when they are met. If another gateway is the owner, this one answers reads and passes changes on.
    """
    folder = settings.data / "gateway"
    patience = Patience(_PATIENCE_SECONDS)
    # Before any task is started: what stops the start must arrive as it is, not in a group of errors.
    blobs, storing = await open_images(settings)
    async with (
        open_pool(settings.embedder, channels) as pool,
        channels.open(settings.index) as index_channel,
        channels.open(settings.index, patience=patience) as patient_index_channel,
        open_replicas(settings.replica_addresses, channels) as replicas,
    ):
        with living(folder / "running") as processes:
            lease = OwnerLease(
                LeaseClient(index_channel, settings.lease_seconds),
                processes,
                advertised_address(settings),
                settings.lease_seconds,
            )
            readiness, health = Readiness(), CoreHealth()
            page_key = PageKey(RecordClient(index_channel, SoleProcess()), folder / "page_token_key")
            tokens = PageTokens(page_key.get)
            preparing = WorkHealth("default-collection")
            downloads = ByteBudget(settings.max_pending_bytes)

            def build(term: Term) -> Serving:
                health.begin_anew()
                searched = patient_index_channel
                index = ReplicatedIndex(searched, replicas, term) if replicas else IndexClient(searched, term)
                records = RecordClient(index_channel, term)
                embedders = Embedders(pool, records, health.preparing_embedders)
                core = _build_core(settings, embedders, pool.bulk, index, records, blobs, term, readiness, health)
                return Serving(
                    term,
                    core.gallery,
                    {
                        _SEARCHES: SearchServicer(core.search, core.counting, core.tagging, tokens),
                        _GALLERIES: GalleryServicer(
                            core.gallery, core.duplicates, core.ingest, core.collections, tokens, downloads
                        ),
                        _MODELS: ModelServicer(embedders, core.switch, tokens),
                        _MAPS: MapServicer(core.maps),
                        _BACKUPS: BackupServicer(
                            _backups(
                                settings.backups,
                                core,
                                (IndexTransferClient(index_channel, term), ModelTransferClient(pool)),
                                embedders,
                                index,
                                blobs,
                                records,
                                term,
                            )
                        ),
                    },
                    _background(core, embedders, term, preparing),
                )

            terms = Terms(lease, build)
            following_index = WorkHealth("following-index")
            # A process that stops stays the owner while its calls finish.
            patience_seconds = settings.drain_seconds + _TAKEOVER_SECONDS
            async with (
                lease.kept(),  # released last, when no call is in progress any more
                Owner(lease, terms, channels, patience_seconds) as owner,
                asyncio.TaskGroup() as background,
            ):
                tasks = [
                    background.create_task(keep_running(work_health, work))
                    for work_health, work in (
                        (pool.health, partial(pool.keep_following, readiness)),
                        (
                            following_index,
                            partial(
                                follow_health,
                                index_channel,
                                _INDEX,
                                Need.INDEX,
                                readiness,
                                following_index,
                                patience,
                            ),
                        ),
                        (page_key.health, partial(page_key.load, readiness)),
                        (lease.health, terms.keep_serving),
                        (storing, partial(keep_checking, blobs)),
                        (lease.health, owner.keep_up),
                    )
                ]
                services = {
                    each: forwarding(terms, each, owner) for each in (_SEARCHES, _GALLERIES, _MODELS, _MAPS, _BACKUPS)
                }
                limits_servicer = LimitsServicer("gateway", limits(settings), (pool.channel, index_channel))
                services[LIMITS] = limits_servicer
                yield Served(
                    [
                        limits_service(limits_servicer),
                        GrpcService(
                            _SEARCHES.full_name,
                            partial(search_service_pb2_grpc.add_SearchServiceServicer_to_server, services[_SEARCHES]),
                            lambda: readiness.watch(Need.EMBEDDER, Need.INDEX, Need.PAGE_KEY, Need.GALLERY, Need.WORDS),
                            (health.words,),
                        ),
                        GrpcService(
                            _GALLERIES.full_name,
                            partial(
                                gallery_service_pb2_grpc.add_GalleryServiceServicer_to_server, services[_GALLERIES]
                            ),
                            lambda: readiness.watch(Need.EMBEDDER, Need.INDEX, Need.PAGE_KEY, Need.GALLERY),
                            (following_index, page_key.health, lease.health, preparing, health.sweeping, storing),
                        ),
                        GrpcService(
                            _MAPS.full_name,
                            partial(map_service_pb2_grpc.add_MapServiceServicer_to_server, services[_MAPS]),
                            lambda: readiness.watch(Need.INDEX, Need.GALLERY),
                            (health.mapping,),
                        ),
                        GrpcService(
                            _BACKUPS.full_name,
                            partial(backup_service_pb2_grpc.add_BackupServiceServicer_to_server, services[_BACKUPS]),
                            lambda: readiness.watch(Need.EMBEDDER, Need.INDEX, Need.GALLERY),
                        ),
                        GrpcService(
                            _MODELS.full_name,
                            partial(model_service_pb2_grpc.add_ModelServiceServicer_to_server, services[_MODELS]),
                            lambda: readiness.watch(Need.EMBEDDER),
                            (pool.health, health.preparing_embedders, health.switching),
                        ),
                    ],
                    partial(web_application, services, lambda: terms.serving.gallery, settings, downloads),
                    changed=lambda now: limits_servicer.use(limits(now)),
                )
                for task in tasks:
                    task.cancel()


def _build_core(
    settings: GatewaySettings,
    embedders: Embedders,
    bulk: BulkEmbedding,
    index: IndexClient,
    records: RecordClient,
    blobs: BlobStore,
    term: Term,
    readiness: Readiness,
    health: CoreHealth,
) -> Core:
    batch_bytes = min(_BATCH_BYTES, settings.max_message_bytes // 2)
    return build_core(
        embedders,
        index,
        blobs,
        records,
        settings.data / "gateway",
        bulk=bulk,
        ingest_limits=IngestLimits(pending_bytes=settings.max_pending_bytes, batch_bytes=batch_bytes),
        copy_limits=CopyLimits(batch_bytes=min(CALL_BYTES, batch_bytes)),
        map_limits=MapLimits(
            threads=settings.map_threads or max(1, (os.cpu_count() or 1) // 2),
            memory_bytes=settings.map_memory_bytes,
        ),
        lease=term,
        readiness=readiness,
        health=health,
    )


def _backups(
    root: str,
    core: Core,
    transfers: tuple[IndexTransferClient, ModelTransferClient],
    embedders: Embedders,
    index: IndexClient,
    blobs: BlobStore,
    records: RecordClient,
    term: Term,
) -> Backups:
    restoring = Restoring(
        transfers,
        embedders,
        index,
        blobs,
        core.collections,
        core.placements,
        core.writes,
        core.words,
        core.sweeper,
        RestoreState(records),
    )
    return Backups(root, Saving(*transfers, embedders, blobs, core.sweeper), restoring, term)


def _background(core: Core, embedders: Embedders, term: Term, preparing: WorkHealth) -> list[tuple[WorkHealth, Work]]:
    """Return the background work of a term: the owner's, or what follows it."""
    of_both = [(preparing, partial(_prepare_gallery, core, term, preparing))]
    if not term.number:
        return [*of_both, (core.words.health, core.words.await_filled)]
    return [
        *of_both,
        (embedders.health, embedders.keep_prepared),
        (core.words.health, core.words.keep_filled),
        (core.switch.health, core.switch.keep_switching),
        (core.sweeper.health, core.sweeper.keep_sweeping),
        (core.maps.health, core.maps.keep_mapping),
    ]


async def _prepare_gallery(core: Core, term: Term, health: WorkHealth) -> None:
    """Create the default collection as soon as the embedder and the index answer; log collections of other models.

    A process that is not the owner waits for the owner's.
    """
    while True:
        try:
            if term.number:
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
