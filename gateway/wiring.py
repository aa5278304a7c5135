"""Puts the gateway together from its settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from semsearch.embedder.v1 import embedder_service_pb2
from semsearch.index.v1 import index_service_pb2
from semsearch.v1 import (
    gallery_service_pb2,
    gallery_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)

from gateway.blobs import FolderBlobStore
from gateway.collection_switch import CollectionSwitch
from gateway.collection_writes import CollectionWrites
from gateway.dependency_health import follow_health
from gateway.embedder_client import EmbedderClient
from gateway.embedding import Model
from gateway.errors import GatewayError
from gateway.gallery import Gallery
from gateway.gallery_servicer import GalleryServicer
from gateway.image_collections import ImageCollections
from gateway.index_client import IndexClient
from gateway.ingest import ImageIngest
from gateway.model_servicer import ModelServicer
from gateway.model_switch import ModelSwitch
from gateway.models import ModelCatalog
from gateway.placements import Placements
from gateway.query_vectors import QueryVectors
from gateway.readiness import Need, Readiness
from gateway.search import Search
from gateway.search_servicer import SearchServicer
from gateway.settings import GatewaySettings
from gateway.sweeper import Sweeper
from gateway.switch_state import SwitchState
from gateway.tagging import Tagging
from gateway.words import WordsIndex
from serving.channels import open_channel
from serving.page_tokens import PageTokens, load_key
from serving.server import GrpcService

_RETRY_SECONDS = 0.5
_EMBEDDER = embedder_service_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name
_INDEX = index_service_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_gateway(settings: GatewaySettings) -> AsyncIterator[Sequence[GrpcService]]:
    """Opens the gateway's three services.

    The embedder and the index need not be up yet. What the services need is prepared in the background; their health
    tells when it is there.
    """
    tokens = PageTokens(load_key(settings.data / "gateway" / "page_token_key"))
    blobs = FolderBlobStore(settings.data / "images")
    readiness = Readiness()
    async with (
        open_channel(settings.embedder, max_message_bytes=settings.max_message_bytes) as embedder_channel,
        open_channel(settings.index, max_message_bytes=settings.max_message_bytes) as index_channel,
    ):
        embedder = EmbedderClient(embedder_channel)
        index = IndexClient(index_channel)
        models = ModelCatalog(embedder)
        placements = Placements(index)
        writes = CollectionWrites()
        collections = ImageCollections(index, blobs, models, placements, writes)
        gallery = Gallery(index, blobs, placements, writes)
        words = WordsIndex(embedder, index, models, readiness)
        vectors = QueryVectors(embedder, models, gallery)
        search = Search(vectors, index, models, placements, words)
        ingest = ImageIngest(embedder, index, blobs, models, placements, writes)
        searches = SearchServicer(search, Tagging(vectors, models, placements, words), tokens)
        galleries = GalleryServicer(gallery, ingest, collections, tokens)
        switch = ModelSwitch(
            embedder,
            collections,
            words,
            CollectionSwitch(embedder, index, blobs, placements, writes),
            SwitchState(settings.data / "gateway" / "model_switch"),
        )
        models_servicer = ModelServicer(embedder, switch, tokens)

        async with asyncio.TaskGroup() as background:
            tasks = [
                background.create_task(each)
                for each in (
                    follow_health(embedder_channel, _EMBEDDER, Need.EMBEDDER, readiness),
                    follow_health(index_channel, _INDEX, Need.INDEX, readiness),
                    _prepare_gallery(collections, models, readiness),
                    words.keep_filled(),
                    switch.keep_switching(),
                    Sweeper(index, blobs, collections, placements).keep_sweeping(),
                )
            ]
            yield [
                GrpcService(
                    search_service_pb2.DESCRIPTOR.services_by_name["SearchService"].full_name,
                    lambda server: search_service_pb2_grpc.add_SearchServiceServicer_to_server(searches, server),
                    lambda: readiness.watch(Need.EMBEDDER, Need.INDEX, Need.GALLERY, Need.WORDS),
                ),
                GrpcService(
                    gallery_service_pb2.DESCRIPTOR.services_by_name["GalleryService"].full_name,
                    lambda server: gallery_service_pb2_grpc.add_GalleryServiceServicer_to_server(galleries, server),
                    lambda: readiness.watch(Need.EMBEDDER, Need.INDEX, Need.GALLERY),
                ),
                GrpcService(
                    model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name,
                    lambda server: model_service_pb2_grpc.add_ModelServiceServicer_to_server(models_servicer, server),
                    lambda: readiness.watch(Need.EMBEDDER),
                ),
            ]
            for task in tasks:
                task.cancel()


async def _prepare_gallery(collections: ImageCollections, models: ModelCatalog, readiness: Readiness) -> None:
    """Creates the default collection as soon as the embedder and the index answer; tells which have another model."""
    while True:
        try:
            await collections.ensure_default()
            await _tell_of_other_models(collections, await models.serving())
        except (GatewayError, TimeoutError) as error:
            log.info("waiting for the embedder and the index", error=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return await readiness.set(Need.GALLERY, True)


async def _tell_of_other_models(collections: ImageCollections, serving: Model) -> None:
    """Says what becomes of images that were embedded before another model became the one that serves."""
    if others := [each for each in await collections.list_all() if each.model_id != serving.id]:
        log.info(
            "these collections keep the model that embedded their images; to embed them anew with the one that serves: "
            f"semsearch model activate {serving.id.partition('@')[0]}",
            collections=[each.id for each in others],
            models=sorted({each.model_id for each in others}),
            serving=serving.id,
        )
