"""The gateway's core over doubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway import core
from gateway.backends.attributes import Attributes
from gateway.backends.bulk_embedding import BulkEmbedding
from gateway.backends.coordination import Records
from gateway.collections.folder_blobs import FolderBlobStore
from gateway.collections.names import DEFAULT_COLLECTION
from gateway.ingest.ingest import IngestLimits
from gateway.ingest.plan import Upload
from gateway.ingest.results import Acknowledgement, UploadResult
from gateway.lease import Lease
from gateway.switching.index_copy import CopyLimits
from tests.unit.gateway.doubles import ColorEmbedder, MemoryIndex


@dataclass(frozen=True)
class Core(core.Core):
    embedder: ColorEmbedder
    index: MemoryIndex
    blobs: FolderBlobStore

    async def add(self, *uploads: Upload, collection: str = DEFAULT_COLLECTION) -> list[UploadResult]:
        answers = [answer async for answer in self.ingest.run(collection, stream(uploads))]
        return [result for answer in answers for result in answer.results]

    async def acknowledgements(self, *uploads: Upload) -> list[Acknowledgement]:
        return [answer async for answer in self.ingest.run(DEFAULT_COLLECTION, stream(uploads))]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that has no event."""
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
    lease: Lease | None = None,
    records: Records | None = None,
    bulk: BulkEmbedding | None = None,
) -> Core:
    """Open a core; another one over the same doubles and folder is the gateway after a restart, or a second process."""
    embedder, index, blobs = embedder or ColorEmbedder(), index or MemoryIndex(), FolderBlobStore(root)
    built = core.build_core(
        embedder,
        index,
        blobs,
        records or index.records,
        root.parent / "gateway",
        bulk=bulk,
        ingest_limits=limits,
        copy_limits=CopyLimits(page_images=3, batch_images=2),
        lease=lease,
    )
    await built.collections.ensure_default()
    return Core(**vars(built), embedder=embedder, index=index, blobs=blobs)
