"""Bring one index of images in sync with another, with another model's vectors.

Each method may be called again after any other, and after a crash: what is in step already is left alone. The images of
the target keep the order of the source.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from gateway.backends.attributes import from_text
from gateway.backends.bulk_embedding import BulkEmbedding, Result
from gateway.backends.embedding import ImageEmbedding, ImageInput
from gateway.backends.refusals import Overloaded, Refused
from gateway.backends.vector_index import Item, VectorIndex
from gateway.collections.blobs import BlobStore, Rendition
from gateway.errors import BlobMissing, GatewayError

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class CopyLimits:
    """Bounds of a copy.

    A batch ends with the image that passes `batch_bytes`; a call to the embedder carries at most that many, or one
    larger image. `overload_seconds`: for how long a full embedder is asked again before the copy breaks off.
    """

    page_images: int = 200
    batch_images: int = 16
    batch_bytes: int = 4 * 2**20
    overload_seconds: float = 60.0


@dataclass
class Tally:
    """How far a copy is: images that the model has embedded, that it cannot embed, and all."""

    done: int = 0
    failed: int = 0
    total: int = 0


@dataclass(frozen=True)
class Route:
    """The names of the two indexes, and the model of the second."""

    source: str
    target: str
    model_id: str


class IndexCopy:
    """One copy; keeps a tally, and calls `on_change` after each change."""

    def __init__(
        self,
        embedding: BulkEmbedding,
        index: VectorIndex,
        blobs: BlobStore,
        route: Route,
        tally: Tally,
        on_change: Callable[[], None],
        limits: CopyLimits | None = None,
    ) -> None:
        self._embedding = embedding
        self._index = index
        self._blobs = blobs
        self._route = route
        self._tally = tally
        self._on_change = on_change
        self._limits = limits or CopyLimits()
        self._failed: set[str] = set()

    async def prune(self) -> None:
        """Remove from the target what the source has no more."""
        gone: list[str] = []
        async for items in self._pages(self._route.target):
            ids = [item.id for item in items]
            there = {item.id for item in await self._index.get_items(self._route.source, ids)}
            gone += [item_id for item_id in ids if item_id not in there]
        for chunk in _chunks(gone, self._limits.page_images):
            await self._index.delete_items(self._route.target, chunk)

    async def everything(self) -> None:
        """Copy all that the source has.

        Raises:
            Overloaded: the embedder had no room for too long.
            DependencyUnavailable, IndexNotFound, Refused, TimeoutError: a call failed.
        """
        async for items in self._pages(self._route.source):
            known = await self._known(items)
            self._tally.done += len(known)
            await self._bring(items, known, self._limits.overload_seconds)

    async def again(self, ids: Sequence[str], patience_seconds: float | None = None) -> None:
        """Copy images of these ids as the source has them now, and remove what it has no more.

        Raises what `everything` raises; `Overloaded` after `patience_seconds`.
        """
        patience = self._limits.overload_seconds if patience_seconds is None else patience_seconds
        for chunk in _chunks(ids, self._limits.page_images):
            items = await self._index.get_items(self._route.source, chunk)
            gone = set(chunk) - {item.id for item in items}
            self._failed -= gone
            await self._remove(sorted(gone))
            if items:
                ordered = sorted(items, key=lambda item: str(_image(item)["create_time"]))
                await self._bring(ordered, await self._known(ordered), patience)

    async def _bring(self, items: Sequence[Item], known: dict[str, Item], patience: float) -> None:
        """Copy a page of items; `known` is what the target has of them."""
        by_id = {item.id: item for item in items}
        # Deleted and added again: it is at another place of the order now.
        again = [
            each for each, old in known.items() if _image(old)["create_time"] != _image(by_id[each])["create_time"]
        ]
        await self._remove(again)
        known = {item_id: old for item_id, old in known.items() if item_id not in again}
        changed: list[Item] = []
        missing: list[Item] = []
        for item in items:
            old = known.get(item.id)
            if old is None or _image(old)["sha256"] != _image(item)["sha256"]:
                missing.append(item)
            elif old.attributes != item.attributes:
                changed.append(Item(item.id, item.attributes))
        for chunk in _chunks(changed, self._limits.batch_images):
            await self._index.upsert(self._route.target, self._route.model_id, chunk)
        async with aclosing(self._embedded(missing, patience)) as batches:
            async for batch, results in batches:
                await self._write(batch, results, known)
                self._update_tally()
        self._update_tally()

    async def _embedded(
        self, items: Sequence[Item], patience: float
    ) -> AsyncGenerator[tuple[Sequence[Item], Sequence[tuple[Item, Result]]], None]:
        """Yield each batch with its results, in order; the next ones are embedded in the meantime."""
        running: deque[tuple[Sequence[Item], asyncio.Task[list[tuple[Item, Result]]]]] = deque()
        try:
            for batch in self._batches(items):
                running.append((batch, asyncio.create_task(self._embed(batch, patience))))
                if len(running) > self._embedding.batches_ahead:
                    first, embedding = running.popleft()
                    yield first, await embedding
            while running:
                first, embedding = running.popleft()
                yield first, await embedding
        finally:
            for _, embedding in running:
                embedding.cancel()
            await asyncio.gather(*(embedding for _, embedding in running), return_exceptions=True)

    async def _embed(self, batch: Sequence[Item], patience: float) -> list[tuple[Item, Result]]:
        """Return the results of those images that have files."""
        read = await asyncio.gather(*(self._read(item) for item in batch))
        contents = [(item, content) for item, content in zip(batch, read, strict=True) if content is not None]
        results = await self._vectors([content for _, content in contents], patience)
        return [(item, result) for (item, _), result in zip(contents, results, strict=True)]

    async def _write(
        self, batch: Sequence[Item], results: Sequence[tuple[Item, Result]], known: dict[str, Item]
    ) -> None:
        made: list[Item] = []
        for item, result in results:
            if isinstance(result, ImageEmbedding):
                made.append(Item(item.id, item.attributes, result.vector))
            elif isinstance(result, Overloaded):
                raise result
            else:
                self._leave_out(item, result)
        if made:
            await self._index.upsert(self._route.target, self._route.model_id, made)
        self._failed -= {item.id for item in made}
        self._tally.done += sum(item.id not in known for item in made)
        # An id whose new bytes cannot be embedded does not keep the vector of the old ones.
        await self._remove([item.id for item in batch if item.id in self._failed and item.id in known])

    async def _vectors(self, contents: Sequence[bytes], patience: float) -> list[Result]:
        """Embed a batch; where the embedder fails over it, one by one, so that one image stops no switch."""
        inputs = [ImageInput(content) for content in contents]
        try:
            return await self._embedding.embed(inputs, self._route.model_id, patience, self._limits.batch_bytes)
        except Refused as error:
            if error.refusal.reason != "INTERNAL":
                raise
            if len(contents) == 1:
                return [error]
        return [result for content in contents for result in await self._vectors([content], patience)]

    async def _read(self, item: Item) -> bytes | None:
        image = _image(item)
        # Of an image whose original the caller kept, the thumbnail is all there is.
        rendition = Rendition.THUMBNAIL if image.get("original_at") else Rendition.ORIGINAL
        try:
            return await self._blobs.read(str(image["sha256"]), rendition)
        except BlobMissing as error:
            self._leave_out(item, error)
            return None

    def _leave_out(self, item: Item, error: GatewayError) -> None:
        self._failed.add(item.id)
        log.warning("an image is left out of a switch to another model", image=item.id, error=str(error))

    def _update_tally(self) -> None:
        self._tally.failed = len(self._failed)
        self._tally.total = max(self._tally.total, self._tally.done + self._tally.failed)
        self._on_change()

    async def _remove(self, ids: Sequence[str]) -> None:
        if ids:
            unknown = await self._index.delete_items(self._route.target, ids)
            self._tally.done -= len(ids) - len(unknown)

    async def _known(self, items: Sequence[Item]) -> dict[str, Item]:
        found = await self._index.get_items(self._route.target, [item.id for item in items])
        return {item.id: item for item in found}

    async def _pages(self, name: str) -> AsyncIterator[Sequence[Item]]:
        token = ""
        while True:
            items, token = await self._index.list_items(name, page_size=self._limits.page_images, page_token=token)
            if items:
                yield items
            if not token:
                return

    def _batches(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        batch: list[Item] = []
        size = 0
        for item in items:
            batch.append(item)
            size += int(_image(item)["size_bytes"])
            if len(batch) >= self._limits.batch_images or size >= self._limits.batch_bytes:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


def _image(item: Item) -> Any:
    return from_text(item.attributes)["image"]


def _chunks(all_of_them: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(all_of_them), size):
        yield all_of_them[start : start + size]
