"""Move a collection to another model while it is searched and written to.

1. An index of the model is created, labelled as what a switch fills; or it exists from an interrupted run.
2. From here on the ids that are written to the collection are followed (`collection_writes.py`).
3. What the new index has and the collection has no more is removed: it was deleted while nobody followed.
4. The images are copied in their order, each with its id and its attributes, its vector recomputed from its file. What
   the new index has already is left alone.
5. Concurrent writes are copied, then those made during that copy, until few are left.
6. Writes are held. The last of them are copied, and the alias is moved: the commit point. Writes resume.
7. The old index is removed.

What a crash leaves is removed as `orphans.py` says, unless the next run goes on with it.

Invariants:
- At the commit point the new index has the images that the old one has, less those that the model cannot embed, which
  are logged: their files stay.
- A write is in one of the two indexes when it is acknowledged, and in the new one after the commit point.
- Before the commit point nothing has happened to the collection. An interrupted run restarts at 1, and embeds
  nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import structlog

from gateway.backends.bulk_embedding import BulkEmbedding
from gateway.backends.embedding import Model
from gateway.backends.refusals import IndexNotFound
from gateway.backends.vector_index import IndexInfo, VectorIndex
from gateway.collections.blobs import BlobStore
from gateway.collections.image_collections import SWITCH_LABEL, create_index
from gateway.collections.names import alias_of, errors_of
from gateway.collections.placements import Placements
from gateway.collections.writes import CollectionWrites
from gateway.switching.index_copy import CopyLimits, IndexCopy, Route, Tally

# Writes are held once this few written images are left to copy, or after this many rounds.
_HELD_IMAGES = 16
_ROUNDS = 20
# An overloaded embedder must not block writes for long: the copy stops and is restarted.
_HELD_PATIENCE_SECONDS = 2.0

log = structlog.get_logger(__name__)


class CollectionMoved(Exception):
    """The collection was emptied or deleted during its switch."""


class CollectionSwitch:
    """Moves collections, one at a time."""

    def __init__(
        self,
        embedding: BulkEmbedding,
        index: VectorIndex,
        blobs: BlobStore,
        placements: Placements,
        writes: CollectionWrites,
        limits: CopyLimits | None = None,
    ) -> None:
        self._embedding = embedding
        self._index = index
        self._blobs = blobs
        self._placements = placements
        self._writes = writes
        self._limits = limits
        # What this process fills. The label does not tell: an index keeps it when it has become a collection's, and may
        # then lose its alias.
        self._targets: set[str] = set()

    async def run(self, collection: str, model: Model, tally: Tally, on_change: Callable[[], None]) -> None:
        """Move a collection to a model; keep the tally, and call `on_change` after each change.

        Raises:
            CollectionNotFound, CollectionMoved: It was deleted or emptied during the switch; the copy is removed.
        """
        with errors_of(collection):
            source = await self._index.get(alias_of(collection))
        target = await self._target(collection, source, model)
        self._targets.add(target)
        tally.done, tally.failed, tally.total = 0, 0, source.item_count
        route = Route(source.name, target, model.id)
        copy = IndexCopy(self._embedding, self._index, self._blobs, route, tally, on_change, self._limits)
        log.info("switching a collection", collection=collection, model=model.id, images=source.item_count)
        try:
            with self._writes.followed(collection) as written:
                await copy.prune()
                await copy.everything()
                for _ in range(_ROUNDS):
                    if len(written) <= _HELD_IMAGES:
                        break
                    await copy.again(_taken(written))
                async with self._writes.held(collection):
                    await copy.again(_taken(written), _HELD_PATIENCE_SECONDS)
                    await self._commit(collection, source.name, target)
        except (CollectionMoved, IndexNotFound) as error:
            with suppress(IndexNotFound):
                await self._index.delete(target)
            raise CollectionMoved(collection) from error
        log.info("switched a collection", collection=collection, model=model.id, failed=tally.failed)
        tally.total = tally.done + tally.failed
        on_change()
        with suppress(IndexNotFound):
            await self._index.delete(source.name)

    async def drop_targets(self) -> None:
        """Remove what switches of this process that broke off have left: indexes that were to take collections over."""
        for info in await self._index.list_all():
            if info.name in self._targets and not info.aliases:
                await self._index.delete(info.name)
        self._targets.clear()

    async def _target(self, collection: str, source: IndexInfo, model: Model) -> str:
        for info in await self._index.list_all():
            ours = info.labels.get(SWITCH_LABEL) == model.id and info.labels.get("collection") == collection
            if ours and not info.aliases:
                return info.name
        labels = {**source.labels, SWITCH_LABEL: model.id}
        return (await create_index(self._index, collection, model, labels)).name

    async def _commit(self, collection: str, source: str, target: str) -> None:
        if (await self._index.get(alias_of(collection))).name != source:
            raise CollectionMoved(collection)
        self._targets.discard(target)
        with self._placements.moving(collection):
            await self._index.set_alias(alias_of(collection), target)


def _taken(ids: set[str]) -> list[str]:
    """Take all ids out of a set."""
    taken = list(ids)
    ids.clear()
    return taken
