"""Batches images for the model without timers, as text-embeddings-inference does.

Contract: the images that wait when the model becomes free are the next batch, up to a limit. Images of interactive
calls go first, alone; every fourth batch takes bulk ones too. While interactive images come, a batch has few bulk ones,
so that nobody waits for a long one. Images whose callers are gone are dropped. One thread runs the model. An error of
the model is raised in every caller of that batch. The queue is bounded where images are admitted (see
`image_embedding`), and in bytes where they arrive (see `servicer`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram

from serving import lanes
from serving.lanes import INTERACTIVE_SECONDS, Lane, Turns
from serving.metrics import BUCKETS

_SIZE = Histogram("semsearch_embedder_batch_images", "Images the model took at once.", buckets=(1, 2, 4, 8, 16, 32, 64))
_SECONDS = Histogram("semsearch_embedder_model_seconds", "Seconds that the model took for a batch.", buckets=BUCKETS)
_DROPPED = Counter("semsearch_embedder_dropped_images", "Images whose caller had gone before the model was free.")

# Bulk images in a batch while interactive ones come.
_BULK_BESIDE = 2

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Batched:
    """A vector, float32 (dimension), when its image arrived and when the model ran (`perf_counter`), for how many."""

    vector: NDArray[np.float32]
    arrived: float
    began: float
    ended: float
    images: int


@dataclass(frozen=True)
class _Entry:
    pixels: NDArray[np.uint8]
    arrived: float
    result: asyncio.Future[Batched]


class Batcher:
    """The queue of a model; `open_batcher` makes and runs one."""

    def __init__(self, model: Run, max_batch: int, thread: ThreadPoolExecutor) -> None:
        self._model = model
        self._max_batch = max_batch
        self._thread = thread
        self._waiting: dict[Lane, deque[_Entry]] = {lane: deque() for lane in Lane}
        self._turns = Turns()
        self._interactive_until = 0.0
        self._arrived = asyncio.Event()

    async def embed(self, pixels: NDArray[np.uint8]) -> Batched:
        """Return the vector of one image, uint8 (size, size, 3)."""
        lane = lanes.current()
        entry = _Entry(pixels, perf_counter(), asyncio.get_running_loop().create_future())
        self._waiting[lane].append(entry)
        if lane is Lane.INTERACTIVE:
            self._interactive_until = entry.arrived + INTERACTIVE_SECONDS
        self._arrived.set()
        return await entry.result

    async def run(self) -> None:
        """Run batches until cancelled."""
        while True:
            await self._arrived.wait()
            if batch := self._next_batch():
                await self._run_batch(batch)
            elif not any(self._waiting.values()):  # else the callers of all whose turn it was are gone
                self._arrived.clear()

    def _next_batch(self) -> list[_Entry]:
        is_bulk_turn = self._turns.is_bulk
        for_bulk = min(_BULK_BESIDE, len(self._waiting[Lane.BULK])) if is_bulk_turn else 0
        batch = self._take(Lane.INTERACTIVE, max(0, self._max_batch - for_bulk))
        if batch and not is_bulk_turn:
            self._turns.record(Lane.INTERACTIVE)
            return batch
        self._turns.record(Lane.BULK)
        expected = perf_counter() < self._interactive_until
        return batch + self._take(
            Lane.BULK, min(_BULK_BESIDE if expected else self._max_batch, self._max_batch - len(batch))
        )

    def _take(self, lane: Lane, most: int) -> list[_Entry]:
        taken: list[_Entry] = []
        while self._waiting[lane] and len(taken) < most:
            entry = self._waiting[lane].popleft()
            if entry.result.done():
                _DROPPED.inc()
            else:
                taken.append(entry)
        return taken

    async def _run_batch(self, batch: list[_Entry]) -> None:
        _SIZE.observe(len(batch))
        began = perf_counter()
        run = asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self._model(np.stack([entry.pixels for entry in batch]))
        )
        await asyncio.wait([run])
        error, ended = run.exception(), perf_counter()
        _SECONDS.observe(ended - began)
        for place, entry in enumerate(batch):
            if entry.result.done():
                continue
            if error is not None:
                entry.result.set_exception(error)
            else:
                entry.result.set_result(Batched(run.result()[place], entry.arrived, began, ended, len(batch)))


@asynccontextmanager
async def open_batcher(model: Run, max_batch: int) -> AsyncIterator[Batcher]:
    """Run a batcher in the background while the context is open; on exit, wait for the running batch."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="model")
    batcher = Batcher(model, max_batch, thread)
    running = asyncio.create_task(batcher.run())
    try:
        yield batcher
    finally:
        running.cancel()
        await asyncio.wait([running])
        await asyncio.to_thread(thread.shutdown)  # not on the event loop: other models are serving
