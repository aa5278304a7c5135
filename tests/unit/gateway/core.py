"""The gateway's core over doubles, as `wiring.py` puts it together over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.blobs import FolderBlobStore
from gateway.collection_names import DEFAULT_COLLECTION
from gateway.collection_switch import CollectionSwitch
from gateway.collection_writes import CollectionWrites
from gateway.gallery import Gallery
from gateway.image_collections import ImageCollections
from gateway.index_copy import CopyLimits
from gateway.ingest import ImageIngest, IngestLimits
from gateway.ingest_plan import Upload
from gateway.ingest_results import Acknowledgement, UploadResult
from gateway.model_switch import ModelSwitch
from gateway.models import ModelCatalog
from gateway.placements import Placements
from gateway.query_vectors import QueryVectors
from gateway.readiness import Readiness
from gateway.search import Search
from gateway.switch_state import SwitchState
from gateway.tagging import Tagging
from gateway.vector_index import Attributes
from gateway.words import WordsIndex
from tests.unit.gateway.doubles import ColorEmbedder, MemoryIndex


@dataclass
class Core:
    embedder: ColorEmbedder
    index: MemoryIndex
    blobs: FolderBlobStore
    models: ModelCatalog
    placements: Placements
    writes: CollectionWrites
    collections: ImageCollections
    gallery: Gallery
    ingest: ImageIngest
    words: WordsIndex
    readiness: Readiness
    search: Search
    tagging: Tagging
    switch: ModelSwitch

    async def add(self, *uploads: Upload, collection: str = DEFAULT_COLLECTION) -> list[UploadResult]:
        answers = [answer async for answer in self.ingest.run(collection, stream(uploads))]
        return [result for answer in answers for result in answer.results]

    async def acknowledgements(self, *uploads: Upload) -> list[Acknowledgement]:
        return [answer async for answer in self.ingest.run(DEFAULT_COLLECTION, stream(uploads))]


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition that no event tells."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def stream(uploads: Iterable[Upload]) -> AsyncIterator[Upload]:
    for upload in uploads:
        yield upload


def upload(sequence: int, content: bytes, id: str = "", attributes: Attributes | None = None) -> Upload:  # noqa: A002
    return Upload(sequence, content, id, attributes)


async def open_core(
    root: Path,
    limits: IngestLimits | None = None,
    embedder: ColorEmbedder | None = None,
    index: MemoryIndex | None = None,
) -> Core:
    """Another core over the same doubles and folder is the gateway after a restart."""
    embedder, index, blobs = embedder or ColorEmbedder(), index or MemoryIndex(), FolderBlobStore(root)
    models = ModelCatalog(embedder)
    placements = Placements(index)
    writes = CollectionWrites()
    collections = ImageCollections(index, blobs, models, placements, writes)
    gallery = Gallery(index, blobs, placements, writes)
    readiness = Readiness()
    words = WordsIndex(embedder, index, models, readiness)
    vectors = QueryVectors(embedder, models, gallery)
    core = Core(
        embedder=embedder,
        index=index,
        blobs=blobs,
        models=models,
        placements=placements,
        writes=writes,
        collections=collections,
        gallery=gallery,
        ingest=ImageIngest(embedder, index, blobs, models, placements, writes, limits),
        words=words,
        readiness=readiness,
        search=Search(vectors, index, models, placements, words),
        tagging=Tagging(vectors, models, placements, words),
        switch=ModelSwitch(
            embedder,
            collections,
            words,
            CollectionSwitch(embedder, index, blobs, placements, writes, CopyLimits(page_images=3, batch_images=2)),
            SwitchState(root.parent / "gateway" / "model_switch"),
        ),
    )
    await collections.ensure_default()
    return core
