"""Build the gateway's domain from an embedder, an index and an image store; it knows no gRPC."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.backends.bulk_embedding import BulkEmbedding
from gateway.backends.coordination import Records
from gateway.backends.embedding import Embedder
from gateway.backends.models import ModelCatalog
from gateway.backends.vector_index import VectorIndex
from gateway.collections.blobs import BlobStore
from gateway.collections.duplicates import Duplicates
from gateway.collections.gallery import Gallery
from gateway.collections.image_collections import ImageCollections
from gateway.collections.orphans import Orphans
from gateway.collections.placements import Placements
from gateway.collections.sweeper import Sweeper
from gateway.collections.writes import CollectionWrites
from gateway.ingest.ingest import ImageIngest, IngestLimits
from gateway.lease import Lease
from gateway.maps.map_files import MapFiles
from gateway.maps.map_maker import MapLimits
from gateway.maps.map_requests import MapRequests
from gateway.maps.maps import Maps
from gateway.readiness import Readiness
from gateway.search.counts import Counting
from gateway.search.query_vectors import QueryVectors
from gateway.search.search import Search
from gateway.search.tagging import Tagging
from gateway.search.words import WordsIndex
from gateway.switching.collection_switch import CollectionSwitch
from gateway.switching.index_copy import CopyLimits
from gateway.switching.model_switch import ModelSwitch
from gateway.switching.switch_state import SwitchState
from serving.background import WorkHealth


class CoreHealth:
    """The health of the background work of all cores of a process, one after the other."""

    def __init__(self) -> None:
        self.words = WorkHealth("words")
        self.sweeping = WorkHealth("sweeping")
        self.switching = WorkHealth("switching")
        self.mapping = WorkHealth("mapping")
        self.preparing_embedders = WorkHealth("preparing-embedders")

    def begin_anew(self) -> None:
        """Forget the failures of the last core."""
        for each in (self.words, self.sweeping, self.switching, self.mapping, self.preparing_embedders):
            each.reset()


@dataclass(frozen=True)
class Core:
    """The domain's objects. They share one instance each of placements, writes and readiness."""

    readiness: Readiness
    models: ModelCatalog
    placements: Placements
    writes: CollectionWrites
    collections: ImageCollections
    gallery: Gallery
    duplicates: Duplicates
    orphans: Orphans
    sweeper: Sweeper
    ingest: ImageIngest
    words: WordsIndex
    search: Search
    counting: Counting
    tagging: Tagging
    switch: ModelSwitch
    maps: Maps


def build_core(
    embedder: Embedder,
    index: VectorIndex,
    blobs: BlobStore,
    records: Records,
    folder: Path,
    *,
    bulk: BulkEmbedding | None = None,
    ingest_limits: IngestLimits | None = None,
    copy_limits: CopyLimits | None = None,
    map_limits: MapLimits | None = None,
    lease: Lease | None = None,
    readiness: Readiness | None = None,
    health: CoreHealth | None = None,
) -> Core:
    """Return the domain; `folder` is this process's own, for files that can be made again.

    `bulk` spreads uploads and switches over the embedders; without it, they go to `embedder`. Limits have defaults.
    Without a lease, this is the only gateway.
    """
    bulk = bulk or BulkEmbedding(embedder)
    readiness, health = readiness or Readiness(), health or CoreHealth()
    models, writes = ModelCatalog(embedder), CollectionWrites()
    placements = Placements(index, lease)
    collections, orphans = ImageCollections(index, blobs, models, placements, writes), Orphans(index)
    gallery = Gallery(index, blobs, placements, writes)
    words = WordsIndex(embedder, index, models, readiness, health.words)
    vectors = QueryVectors(embedder, models, gallery)
    copying = CollectionSwitch(bulk, index, blobs, placements, writes, copy_limits)
    return Core(
        readiness=readiness,
        models=models,
        placements=placements,
        writes=writes,
        collections=collections,
        gallery=gallery,
        duplicates=Duplicates(index, gallery, collections),
        orphans=orphans,
        sweeper=Sweeper(index, blobs, orphans, lease, health.sweeping),
        ingest=ImageIngest(bulk, index, blobs, models, placements, writes, ingest_limits),
        words=words,
        search=Search(vectors, index, models, placements, words),
        counting=Counting(vectors, index, models, placements),
        tagging=Tagging(vectors, models, placements, words),
        switch=ModelSwitch(
            embedder,
            collections,
            orphans,
            words,
            copying,
            SwitchState(records, folder / "model_switch"),
            health.switching,
        ),
        maps=Maps(
            index, words, MapRequests(records, folder / "maps"), MapFiles(folder / "maps"), map_limits, health.mapping
        ),
    )
