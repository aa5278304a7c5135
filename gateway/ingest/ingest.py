"""Add a stream of images to a collection.

Three stages overlap, each working through the stream in its order, joined by queues that the window bounds:

1. read: check the id, hash;
2. plan: look up existing images (`plan.py`), start embedding new ones (`embedding.py`);
3. store: originals and thumbnails durably into the blob store, then — the commit point — the items into the index
   (`storing.py`), then the answer.

Invariants:
- An image is acknowledged only when its blob and its item are on disk. A blob without an item may be left behind by a
  crash and is swept later; an item without a blob never is.
- Answers come in the order of the uploads, so that all up to `durable_sequence` have been answered.
- At most a window of images of a stream is between the first stage and the answer, and at most a window of bytes
  between it and the store; the window grows with the embedders that work. Of all streams together, there are at most
  `IngestLimits.pending_bytes`. Beyond that, the stream is not read, so its sender waits. One more image per stream is
  not counted: the one just read.
- A batch is whatever is waiting when a stage becomes free (`arrivals.py`); no stage waits for a timer.
- A bad image is answered with its error and does not end the stream, nor does a change or deletion of its images.
  Whatever ends the stream, acknowledged images stay.
- An image is embedded with its collection's model. If that changes before the item is stored, the index refuses the
  vector, and the image is embedded again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from gateway.backends.bulk_embedding import BulkEmbedding
from gateway.backends.models import ModelCatalog
from gateway.backends.vector_index import VectorIndex
from gateway.collections.blobs import BlobStore
from gateway.collections.images import require_image_id
from gateway.collections.placements import Placements
from gateway.collections.writes import CollectionWrites
from gateway.errors import GatewayError
from gateway.ingest.arrivals import Arrivals
from gateway.ingest.embedding import BatchEmbedding, Embedded, new_entries
from gateway.ingest.plan import IngestPlanner, Step, Upload
from gateway.ingest.results import Acknowledgement
from gateway.ingest.storing import BatchStoring
from gateway.ingest.window import IngestWindow
from serving.byte_budget import ByteBudget

_BATCHES_AHEAD = 2


@dataclass(frozen=True)
class IngestLimits:
    """Bounds of a stream for each embedder that works, and of all streams together: `pending_bytes`.

    A batch ends with the image that passes `batch_bytes`; a call to the embedder carries at most that many, or one
    larger image. `overload_seconds` is how long an overloaded embedder is retried before its error is passed on.
    """

    window_images: int = 64
    window_bytes: int = 64 * 2**20
    pending_bytes: int = 256 * 2**20
    batch_images: int = 16
    batch_bytes: int = 16 * 2**20
    overload_seconds: float = 60.0


_Batch = tuple[Sequence[Step], "asyncio.Task[Embedded]"]


class ImageIngest:
    """Adds streams of images to collections."""

    def __init__(
        self,
        embedding: BulkEmbedding,
        index: VectorIndex,
        blobs: BlobStore,
        models: ModelCatalog,
        placements: Placements,
        writes: CollectionWrites,
        limits: IngestLimits | None = None,
    ) -> None:
        self._embedding = embedding
        self._index = index
        self._blobs = blobs
        self._models = models
        self._placements = placements
        self._limits = limits or IngestLimits()
        self._batches = BatchEmbedding(embedding, placements, self._limits.batch_bytes, self._limits.overload_seconds)
        self._storing = BatchStoring(self._batches, index, blobs, placements, writes)
        self._budget = ByteBudget(self._limits.pending_bytes)

    async def run(self, collection: str, uploads: AsyncIterable[Upload]) -> AsyncGenerator[Acknowledgement, None]:
        """Yield an acknowledgement for each batch, until the stream ends or the generator is closed.

        Raises:
            CollectionNotFound: The collection does not exist, or was deleted during the run.
            StorageFull: The data folder is not writable.
        """
        self._placements.forget(collection)
        await self._placements.of(collection)
        with self._budget.share() as share:
            window = IngestWindow(
                self._limits.window_images,
                self._limits.window_bytes,
                self._limits.pending_bytes,
                lambda: self._embedding.embedders,
                share,
            )
            answers: asyncio.Queue[Acknowledgement | None] = asyncio.Queue()  # the window bounds it
            work = asyncio.create_task(self._work(collection, uploads, window, answers))
            try:
                while (answer := await answers.get()) is not None:
                    yield answer
                    await window.answer(len(answer.results))
                await work
            finally:
                work.cancel()
                with suppress(asyncio.CancelledError, GatewayError, TimeoutError):
                    await work

    async def _work(
        self,
        collection: str,
        uploads: AsyncIterable[Upload],
        window: IngestWindow,
        answers: asyncio.Queue[Acknowledgement | None],
    ) -> None:
        planner = IngestPlanner(self._index, self._blobs, self._placements, collection)
        # One batch is stored, and some wait in their order while they are embedded: two, or with several embedders as
        # many full ones as the window holds, so that a slow embedder does not leave the others without work.
        planned: asyncio.Queue[_Batch | None] = asyncio.Queue()
        arrivals = Arrivals(
            self._limits.batch_images,
            self._limits.batch_bytes,
            is_short=lambda: planned.qsize() < _BATCHES_AHEAD,
            may_work_ahead=lambda: self._embedding.embedders > 1,
        )
        try:
            async with asyncio.TaskGroup() as stages:
                stages.create_task(self._read(uploads, window, arrivals))
                stages.create_task(self._plan(collection, planner, arrivals, planned, stages))
                stages.create_task(self._store(collection, planner, planned, arrivals, window, answers))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            answers.put_nowait(None)

    async def _read(self, uploads: AsyncIterable[Upload], window: IngestWindow, arrivals: Arrivals) -> None:
        async for upload in uploads:
            await window.enter(len(upload.content))
            arrivals.put(await self._check(upload))
        arrivals.end()

    async def _check(self, upload: Upload) -> Upload:
        if upload.error is not None:
            return upload
        try:
            if upload.id:
                require_image_id(upload.id, "image.id")
            await self._models.require_size(upload.content)
        except GatewayError as error:
            return replace(upload, error=error)
        return replace(upload, sha256=await asyncio.to_thread(_sha256, upload.content))

    async def _plan(
        self,
        collection: str,
        planner: IngestPlanner,
        arrivals: Arrivals,
        planned: asyncio.Queue[_Batch | None],
        stages: asyncio.TaskGroup,
    ) -> None:
        more = True
        while more:
            waiting, more = await arrivals.next_batch()
            while waiting:
                steps, waiting = await planner.plan(waiting)
                if steps:
                    planned.put_nowait((steps, stages.create_task(self._batches.embed(collection, new_entries(steps)))))
                del steps  # free the images before waiting for more
                if waiting:
                    await planner.settled()
        planned.put_nowait(None)

    async def _store(
        self,
        collection: str,
        planner: IngestPlanner,
        planned: asyncio.Queue[_Batch | None],
        arrivals: Arrivals,
        window: IngestWindow,
        answers: asyncio.Queue[Acknowledgement | None],
    ) -> None:
        while (batch := await planned.get()) is not None:
            arrivals.reconsider()
            steps, embedding = batch
            results = await self._storing.store(collection, steps, await embedding)
            planner.finish(steps)
            answers.put_nowait(Acknowledgement(tuple(results), steps[-1].upload.sequence))
            await window.store(sum(len(step.upload.content) for step in steps))
            del batch, steps, embedding  # the images, as above


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
