"""Collections of images as aliases of indexes.

The collection `c` is the alias `images-c` of an index `images-c.<model's hash>.<random>`. Ids have no dots, so that no
alias can be mistaken for an index. The alias is the collection: setting it creates the collection, moving it swaps the
contents, removing it deletes the collection, each at once for everyone. One of our indexes without an alias is being
filled by a switch to another model (`collection_switch.py`; it has a label for this), or is left over from a crash
between two steps (`orphans.py`).

Collections are created, renamed and deleted one at a time, by the owner alone (see `gateway.lease`). So if the index
says that a change has been made already, an earlier attempt of the same call made it, whose answer was lost.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from gateway.backends.embedding import Model
from gateway.backends.models import ModelCatalog
from gateway.backends.refusals import IndexExists, IndexNotFound
from gateway.backends.vector_index import Engine, IndexInfo, NewIndex, VectorIndex
from gateway.collections.blobs import BlobStore
from gateway.collections.images import TAKEN_TIME, StoredImage, rfc3339
from gateway.collections.names import ALIAS_PREFIX, DEFAULT_COLLECTION, alias_of, errors_of
from gateway.collections.placements import Placements
from gateway.collections.writes import CollectionWrites
from gateway.errors import CollectionExists, CollectionNotFound

MAX_DISPLAY_NAME_CHARACTERS = 200
# Marks an index that a switch fills to replace a collection's current one.
SWITCH_LABEL = "switch"
_PAGE = 1_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Collection:
    """A named set of images that is searched together.

    `index_bytes` and `image_bytes` are on disk; the latter, of originals and thumbnails, is None where it was not asked
    for, because it takes a walk over all images.
    """

    id: str
    display_name: str
    image_count: int
    model_id: str
    create_time: datetime
    index_bytes: int = 0
    image_bytes: int | None = None


async def create_index(indexes: VectorIndex, collection: str, model: Model, labels: Mapping[str, str]) -> IndexInfo:
    """Create a uniquely named index for a collection's images."""
    index = NewIndex(
        name=f"{alias_of(collection)}.{model.short_hash}.{secrets.token_hex(4)}",
        dimension=model.dimension,
        model_id=model.id,
        engine=Engine.DEFAULT,
        indexed_attributes=("image.sha256", TAKEN_TIME),
        labels={**labels, "collection": collection},
    )
    try:
        return await indexes.create(index)
    except IndexExists:
        return await indexes.get(index.name)


class ImageCollections:
    """Creates, describes, renames and deletes collections."""

    def __init__(
        self,
        index: VectorIndex,
        blobs: BlobStore,
        models: ModelCatalog,
        placements: Placements,
        writes: CollectionWrites,
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._models = models
        self._placements = placements
        self._writes = writes
        self._lock = asyncio.Lock()

    async def get(self, collection: str) -> Collection:
        """Describe a collection; raises `CollectionNotFound`."""
        return _describe(collection, await self._index_of(collection))

    async def measure(self, collection: str) -> Collection:
        """Describe a collection with the size of its images, which the index adds up; raises `CollectionNotFound`."""
        info = await self._index_of(collection)
        size = await self._index.sum_attribute(info.name, "image.stored_bytes")
        return replace(_describe(collection, info), image_bytes=int(size))

    async def list_all(self) -> Sequence[Collection]:
        """Return all collections, by id."""
        return sorted(
            (
                _describe(alias.removeprefix(ALIAS_PREFIX), info)
                for info in await self._index.list_all()
                for alias in info.aliases
                if alias.startswith(ALIAS_PREFIX)
            ),
            key=lambda each: each.id,
        )

    async def settled(self) -> Sequence[Collection]:
        """Return all collections, by id, while none is being created or deleted."""
        async with self._lock:
            return await self.list_all()

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """Let no collection be created, renamed or deleted until the `with` block ends."""
        async with self._lock:
            yield

    async def create(self, collection: str, display_name: str) -> Collection:
        """Create a collection for the serving model; raises `CollectionExists`."""
        async with self._lock:
            try:
                await self._index_of(collection)
            except CollectionNotFound:
                pass
            else:
                raise CollectionExists(collection)
            labels = {"display_name": display_name, "create_time": rfc3339(datetime.now(UTC))}
            fresh = await create_index(self._index, collection, await self._models.serving(), labels)
            previous = await self._index.set_alias(alias_of(collection), fresh.name)
            if previous not in ("", fresh.name):
                await self._index.set_alias(alias_of(collection), previous)
                await self._index.delete(fresh.name)
                raise CollectionExists(collection)
            return _describe(collection, fresh)

    async def delete(self, collection: str) -> int:
        """Delete a collection and return its image count; the default one is only emptied.

        An image that is added concurrently is deleted too, even if it was acknowledged.
        """
        async with self._lock, self._writes.held(collection):
            info = await self._index_of(collection)
            await self._release(info.name)
            if collection == DEFAULT_COLLECTION:
                labels = {name: text for name, text in info.labels.items() if name != SWITCH_LABEL}
                fresh = await create_index(self._index, collection, await self._models.serving(), labels)
                with self._placements.moving(collection):
                    await self._index.set_alias(alias_of(collection), fresh.name)
            else:
                await self._remove_alias(collection)
            try:
                return await self._index.delete(info.name)
            except IndexNotFound:
                return info.item_count

    async def rename(self, collection: str, new: str) -> Collection:
        """Give a collection another id; raises `CollectionNotFound`, `CollectionExists`.

        It has both ids for a moment, and after a crash until the call is repeated. A switch of it to another model
        starts again under the new id.
        """
        async with self._lock, self._writes.held(collection):
            info = await self._index_of(collection)
            try:
                taken = (await self._index_of(new)).name != info.name
            except CollectionNotFound:
                taken = False
            if taken or new == collection:
                raise CollectionExists(new)
            await self._index.set_alias(alias_of(new), info.name)
            await self._remove_alias(collection)
            return _describe(new, info)

    async def ensure_default(self) -> None:
        """Create the default collection if it does not exist."""
        try:
            await self.create(DEFAULT_COLLECTION, "Gallery")
        except CollectionExists:
            return
        log.info("created the default collection", collection=DEFAULT_COLLECTION)

    async def _remove_alias(self, collection: str) -> None:
        with self._placements.moving(collection), suppress(IndexNotFound):
            await self._index.delete_alias(alias_of(collection))

    async def _release(self, name: str) -> None:
        token = ""
        while True:
            items, token = await self._index.list_items(name, page_size=_PAGE, page_token=token)
            await self._blobs.release([StoredImage.from_item(name, item).sha256 for item in items])
            if not token:
                return

    async def _index_of(self, collection: str) -> IndexInfo:
        with errors_of(collection):
            return await self._index.get(alias_of(collection))


def _describe(collection: str, info: IndexInfo) -> Collection:
    created = info.labels.get("create_time")
    name = info.labels.get("display_name")
    return Collection(
        id=collection,
        # Earlier versions wrote the id where no name was chosen; it must not outlive a change of the id.
        display_name=collection if not name or name == info.labels.get("collection") else name,
        image_count=info.item_count,
        model_id=info.model_id,
        # Kept as a label because the index is replaced when the collection is emptied or its model changes.
        create_time=datetime.fromisoformat(created) if created else info.create_time,
        index_bytes=info.disk_bytes,
    )
