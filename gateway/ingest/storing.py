"""Store a batch: its files durably, then — the commit point — its items.

A plan assumes for each image that its id has its bytes already, or that it has not. Other writes may change that before
the batch is stored: another upload, a deletion, a switch of the model that leaves an image out. So all images of the
batch are looked up again at the end, while nobody else writes to them. Uploads whose plan is out of date are planned
again, each at its place in the order of the stream, so the result is that of one write after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby

from gateway.backends.bulk_embedding import Result
from gateway.backends.embedding import ImageEmbedding
from gateway.backends.vector_index import Item, VectorIndex
from gateway.collections.blobs import Blob, BlobStore
from gateway.collections.images import StoredImage
from gateway.collections.names import alias_of, errors_of
from gateway.collections.placements import Placements
from gateway.collections.writes import CollectionWrites
from gateway.errors import CollectionOfOtherModel
from gateway.ingest.embedding import BatchEmbedding, Embedded, new_entries
from gateway.ingest.plan import Entry, IngestPlanner, Step, Upload
from gateway.ingest.results import UploadResult, result_of
from serving import tracing


class BatchStoring:
    """Stores batches of a stream, one after the other."""

    def __init__(
        self,
        embedding: BatchEmbedding,
        index: VectorIndex,
        blobs: BlobStore,
        placements: Placements,
        writes: CollectionWrites,
    ) -> None:
        self._embedding = embedding
        self._index = index
        self._blobs = blobs
        self._placements = placements
        self._writes = writes

    async def store(self, collection: str, steps: Sequence[Step], embedded: Embedded) -> list[UploadResult]:
        """Store a batch and return its results; re-embed it if the collection was switched to another model.

        Raises:
            CollectionNotFound, StorageFull: see `ImageIngest.run`.
            GatewayError, TimeoutError: the embedder or the index failed.
        """
        while True:
            if embedded.failure is not None:
                raise embedded.failure
            await self._put(embedded)
            try:
                stored = await self._write(collection, steps, embedded)
            except CollectionOfOtherModel:
                self._placements.forget(collection)
                if (await self._placements.of(collection)).model_id == embedded.model_id:
                    raise
                embedded = await self._embedding.embed(collection, list(embedded.results))
                continue
            if stored:
                return [result_of(step) for step in steps]
            results: list[UploadResult] = []
            for outdated, group in groupby(steps, _is_outdated):
                part = list(group)
                if outdated:
                    results += await self._plan_again(collection, [step.upload for step in part])
                else:
                    results += await self.store(collection, part, embedded.of(part))
            return results

    async def _plan_again(self, collection: str, uploads: Sequence[Upload]) -> list[UploadResult]:
        """Store uploads by what is stored now, whatever follows them in the stream."""
        planner = IngestPlanner(self._index, self._blobs, self._placements, collection)
        results: list[UploadResult] = []
        while uploads:
            steps, uploads = await planner.plan(uploads)
            embedded = await self._embedding.embed(collection, new_entries(steps))
            results += await self.store(collection, steps, embedded)
            planner.finish(steps)
        return results

    async def _put(self, embedded: Embedded) -> None:
        """Put a batch's new images into the blob store."""
        blobs: list[Blob] = []
        for entry, result in embedded.results.items():
            if isinstance(result, ImageEmbedding):
                entry.error = None
                blobs.append(Blob(entry.sha256, entry.original, result.thumbnail))
            else:
                entry.error = result
        with tracing.span("write images") as span:
            span.set("semsearch.images", len(blobs))
            await self._blobs.put(blobs)

    async def _write(self, collection: str, steps: Sequence[Step], embedded: Embedded) -> bool:
        """Write a batch's items and return True, or mark the entries whose plan is out of date and return False."""
        if any(map(_is_outdated, steps)):
            return False
        changes = [
            (step.entry, step.attributes)
            for step in steps
            if step.entry and not step.entry.error and (step.adds or step.attributes is not None)
        ]
        if not changes:
            return True
        ids = list({entry.id for entry, _ in changes})
        async with self._writes.writing(collection, ids):
            with errors_of(collection):
                items = await self._index.get_items(alias_of(collection), ids)
            stored = {item.id: StoredImage.from_item(collection, item) for item in items}
            for entry, _ in changes:
                before = stored.get(entry.id)
                has_bytes = before is not None and before.sha256 == entry.sha256
                entry.outdated = has_bytes != (entry not in embedded.results or entry.is_mended)
            if any(map(_is_outdated, steps)):
                return False
            images = {
                entry: _image(collection, entry, result, stored.get(entry.id))
                if isinstance(result := embedded.results.get(entry), ImageEmbedding)
                else stored[entry.id]
                for entry, _ in changes
            }
            # The last of several writes to one id in a batch wins.
            last: dict[str, Entry] = {}
            for entry, attributes in changes:
                last[entry.id] = entry
                if attributes is not None:
                    images[entry] = replace(images[entry], attributes=attributes)
            await self._blobs.release(
                [stored[each].sha256 for each in last if each in stored and stored[each].sha256 != last[each].sha256]
            )
            with errors_of(collection):
                await self._index.upsert(
                    alias_of(collection),
                    embedded.model_id,
                    [_item(images[entry], embedded.results.get(entry)) for entry in last.values()],
                )
        return True


def _is_outdated(step: Step) -> bool:
    return step.entry is not None and step.entry.outdated


def _image(collection: str, entry: Entry, result: ImageEmbedding, before: StoredImage | None) -> StoredImage:
    """Return a new image; `before` is what its id stands for until now."""
    kept = before.attributes if before and entry.is_mended else {}
    return StoredImage(
        id=entry.id,
        collection=collection,
        attributes=kept if entry.attributes is None else entry.attributes,
        sha256=entry.sha256,
        media_type=result.media_type,
        size_bytes=len(entry.content or b""),
        width=result.width,
        height=result.height,
        create_time=before.create_time if before else datetime.now(UTC),
        photo=result.photo,
        perceptual_hash=result.perceptual_hash.hex(),
        original_at=entry.original_at,
        stored_bytes=len(entry.original or b"") + len(result.thumbnail),
    )


def _item(image: StoredImage, result: Result | None) -> Item:
    return Item(image.id, image.item_attributes(), result.vector if isinstance(result, ImageEmbedding) else None)
