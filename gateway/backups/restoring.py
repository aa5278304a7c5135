"""Restore a backup into an empty suite.

1. The suite must be empty: no image, and no collection but the default one. A record names the backup: a restore that
was interrupted goes on at the next call. 2. Models. 3. Images. 4. Indexes, which no alias names yet. 5. The serving
model, its words. 6. Aliases, while no image can be added: the commit points, one for each collection. 7. The record is
cleared.

Every object is compared with its checksum before it is used. A step that was done is recognised and not repeated.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

from gateway.backends.backup_sources import IndexTransfer, ModelTransfer
from gateway.backends.embedding import Embedder
from gateway.backends.refusals import IndexExists
from gateway.backends.vector_index import IndexInfo, VectorIndex
from gateway.backups.errors import NotEmpty, RestoreBegun
from gateway.backups.manifest import Manifest, SavedImage, SavedIndex, SavedModel
from gateway.backups.place import BackupPlace
from gateway.backups.progress import Stage, Tally, at_once, persistently
from gateway.backups.restore_state import RestoreState
from gateway.collections.blobs import Blob, BlobStore
from gateway.collections.image_collections import ImageCollections
from gateway.collections.names import ALIAS_PREFIX, DEFAULT_COLLECTION
from gateway.collections.placements import Placements
from gateway.collections.sweeper import Sweeper
from gateway.collections.writes import CollectionWrites
from gateway.search.words import WordsIndex, is_words_index


class Restoring:
    """Restores backups."""

    def __init__(
        self,
        transfers: tuple[IndexTransfer, ModelTransfer],
        embedder: Embedder,
        index: VectorIndex,
        blobs: BlobStore,
        collections: ImageCollections,
        placements: Placements,
        writes: CollectionWrites,
        words: WordsIndex,
        sweeper: Sweeper,
        state: RestoreState,
    ) -> None:
        self._indexes, self._models = transfers
        self._embedder = embedder
        self._index = index
        self._blobs = blobs
        self._collections = collections
        self._placements = placements
        self._writes = writes
        self._words = words
        self._sweeper = sweeper
        self._state = state

    async def run(self, place: BackupPlace, backup_id: str, manifest: Manifest, tally: Tally) -> None:
        """Restore a backup.

        Raises:
            NotEmpty: the suite is not empty.
            RestoreBegun: another restore was interrupted here.
            BackupDamaged: an object is missing, damaged or malformed; no alias was set.
        """
        tally.backup_id = backup_id
        await persistently(lambda: self._run(place, backup_id, manifest, tally), tally)

    async def _run(self, place: BackupPlace, backup_id: str, manifest: Manifest, tally: Tally) -> None:
        tally.bytes_total, tally.images_total = manifest.bytes, manifest.image_count
        await self._begin(backup_id, manifest)
        async with self._sweeper.paused():
            tally.stage = Stage.MODELS
            for model in manifest.models:
                await self._restore_model(place, model, tally)
            tally.stage = Stage.IMAGES
            for index in manifest.indexes:
                await self._restore_images(place, index, tally)
            tally.stage = Stage.INDEXES
            existing = {info.name: info for info in await self._index.list_all()}
            for index in manifest.indexes:
                await self._restore_index(place, index, existing.get(index.name), tally)
            tally.stage = Stage.ALIASES
            await self._serve(manifest)
            await self._set_aliases(manifest)
        await self._state.write("")

    async def _begin(self, backup_id: str, manifest: Manifest) -> None:
        begun = await self._state.read()
        if begun not in ("", backup_id):
            raise RestoreBegun(begun)
        if not begun:
            await self._require_empty(())
            await self._state.write(backup_id)
        else:
            await self._require_empty([index.name for index in manifest.indexes])

    async def _require_empty(self, restored: Sequence[str]) -> None:
        """Check that there is nothing but what was `restored`, the empty default collection, and words."""
        for info in await self._index.list_all():
            if info.name in restored or is_words_index(info.name):
                continue
            names = [alias.removeprefix(ALIAS_PREFIX) for alias in info.aliases] or [info.name]
            if info.item_count:
                raise NotEmpty(f'"{names[0]}" has {info.item_count:,} images')
            if names != [DEFAULT_COLLECTION] and info.aliases:
                raise NotEmpty(f'there is a collection "{names[0]}"')

    async def _restore_model(self, place: BackupPlace, model: SavedModel, tally: Tally) -> None:
        copied = await self._models.import_model(model.id, lambda: self._files(place, model))
        tally.count(sum(piece.size for file in model.files for piece in file.pieces), copied=copied)

    async def _files(self, place: BackupPlace, model: SavedModel) -> AsyncIterator[tuple[str, bytes]]:
        for file in model.files:
            for piece in file.pieces:
                yield file.name, await place.get(piece, f"part of {file.name} of the model {model.id}")

    async def _restore_images(self, place: BackupPlace, index: SavedIndex, tally: Tally) -> None:
        async def restore(image: SavedImage) -> None:
            await self._restore_image(place, image, tally)
            tally.images_done += 1

        for part in index.parts:
            if part.images is not None:
                images = await place.images(part.images, f"a list of images of {index.name}")
                await at_once(restore, _each(images))

    async def _restore_image(self, place: BackupPlace, image: SavedImage, tally: Tally) -> None:
        original, thumbnail = image.original, image.thumbnail
        if original is None and thumbnail is None:
            return
        size = sum(each.size for each in (original, thumbnail) if each is not None)
        is_here = (original is None or await self._blobs.holds(image.sha256, original.size)) and (
            thumbnail is None or await self._blobs.holds_thumbnail(image.sha256)
        )
        if not is_here:
            what = f"of the image {image.sha256}"
            blob = Blob(
                image.sha256,
                await place.get(original, f"the original {what}") if original is not None else None,
                await place.get(thumbnail, f"the thumbnail {what}") if thumbnail is not None else None,
            )
            await self._blobs.put([blob])
        tally.count(size, copied=not is_here)

    async def _restore_index(
        self, place: BackupPlace, index: SavedIndex, existing: IndexInfo | None, tally: Tally
    ) -> None:
        if existing is None:
            try:
                await self._indexes.import_index(index.name, self._parts(place, index))
            except IndexExists:  # the answer to an import was lost
                existing = await self._index.get(index.name)
        # One that an alias names was restored before an interruption, and has been changed since.
        if existing is not None and not existing.aliases and existing.item_count != index.item_count:
            raise NotEmpty(
                f'the index "{index.name}" has {existing.item_count:,} items, and not the {index.item_count:,} of '
                "the backup"
            )
        tally.count(sum(part.items.size for part in index.parts), copied=existing is None)

    async def _parts(self, place: BackupPlace, index: SavedIndex) -> AsyncIterator[bytes]:
        for part in index.parts:
            yield await place.get(part.items, f"part of the index {index.name}")

    async def _serve(self, manifest: Manifest) -> None:
        """Let the model serve that served when the backup was made, and index its words."""
        model, _ = await self._embedder.get_model()
        if model.id != manifest.active_model:
            model = await self._embedder.activate_model(manifest.active_model)
        await self._words.fill(model)
        await self._words.activate(model)
        await self._words.drop_all_but({model.id, *(index.model_id for index in manifest.indexes)})

    async def _set_aliases(self, manifest: Manifest) -> None:
        restored = [index.name for index in manifest.indexes]
        async with AsyncExitStack() as held:
            await held.enter_async_context(self._collections.unchanged())
            await held.enter_async_context(self._writes.held(DEFAULT_COLLECTION))
            await self._require_empty(restored)
            for index in manifest.indexes:
                for alias in index.aliases:
                    with self._placements.moving(alias.removeprefix(ALIAS_PREFIX)):
                        previous = await self._index.set_alias(alias, index.name)
                    if previous and previous not in restored:
                        await self._index.delete(previous)  # the empty default collection of a new suite


async def _each(images: Sequence[SavedImage]) -> AsyncIterator[SavedImage]:
    for each in images:
        yield each
