"""Make a backup.

1. The sweeper pauses until the end: no image that the point in time names is removed meanwhile. 2. The index service
holds a snapshot of all indexes and aliases: the point in time. The indexes are copied, and the snapshot ends. 3. The
models are copied. 4. The images that the indexes name are copied; their content never changes. 5. The manifest is
written: the commit point.

What the place has already is not copied again, so a backup costs what has changed since the last one, and one that was
interrupted goes on, with a new point in time. Left out are what is made again by itself: words, maps, and indexes that
no alias names because a switch to another model is filling them.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

import structlog

from gateway.backends.attributes import from_text
from gateway.backends.backup_sources import IndexSnapshot, IndexTransfer, ModelTransfer, SnapshotIndex
from gateway.backends.embedding import Embedder
from gateway.backups.errors import IndexesDamaged
from gateway.backups.manifest import (
    FORMAT_VERSION,
    PIECE_BYTES,
    Manifest,
    SavedFile,
    SavedImage,
    SavedIndex,
    SavedModel,
    SavedPart,
    StoredObject,
    images_to_json,
)
from gateway.backups.place import BackupPlace
from gateway.backups.progress import Stage, Tally, at_once, persistently
from gateway.collections.blobs import BlobStore, Rendition, is_sha256
from gateway.collections.names import ALIAS_PREFIX
from gateway.collections.sweeper import Sweeper
from gateway.errors import BlobMissing
from gateway.search.words import is_words_index

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Named:
    """An image that an item names: `size` is that of its original, None if the original is kept elsewhere."""

    sha256: str
    size: int | None
    stored_bytes: int = 0


@dataclass
class _Copied:
    """What a run has copied, without its images; `names` is a file with those of each part, a line each."""

    create_time: datetime
    names: IO[bytes]
    indexes: list[tuple[SnapshotIndex, int, list[StoredObject]]] = field(default_factory=list)
    active_model: str = ""
    models: list[SavedModel] = field(default_factory=list)


class Saving:
    """Makes backups."""

    def __init__(
        self, indexes: IndexTransfer, models: ModelTransfer, embedder: Embedder, blobs: BlobStore, sweeper: Sweeper
    ) -> None:
        self._indexes = indexes
        self._models = models
        self._embedder = embedder
        self._blobs = blobs
        self._sweeper = sweeper

    async def run(self, place: BackupPlace, tally: Tally) -> None:
        """Make a backup in a place.

        Raises:
            IndexesDamaged: an index cannot be opened.
            BackupPlaceFull, BackupPlaceRefused, BackupPlaceUnavailable: the place cannot be written.
        """
        await place.check()
        await persistently(lambda: self._run(place, tally), tally)

    async def _run(self, place: BackupPlace, tally: Tally) -> None:
        with tempfile.TemporaryFile() as names:
            async with self._sweeper.paused():
                copied = await self._copy_indexes(place, names, tally)
                tally.stage = Stage.MODELS
                copied.active_model = (await self._embedder.get_model())[0].id
                for model in await self._embedder.list_models():
                    copied.models.append(await self._copy_model(place, model.id, tally))
                tally.stage = Stage.IMAGES
                images = await self._copy_images(place, names, tally)
        tally.backup_id = await place.put_manifest(_manifest(copied, images, tally))

    async def _copy_indexes(self, place: BackupPlace, names: IO[bytes], tally: Tally) -> _Copied:
        async with self._indexes.snapshot() as snapshot:
            copied = _Copied(datetime.now(UTC), names)
            if snapshot.damaged:
                raise IndexesDamaged(snapshot.damaged)
            for index in snapshot.indexes:
                if not is_words_index(index.name) and (index.aliases or not index.name.startswith(ALIAS_PREFIX)):
                    copied.indexes.append(await self._copy_index(place, snapshot, index, names, tally))
        return copied

    async def _copy_index(
        self, place: BackupPlace, snapshot: IndexSnapshot, index: SnapshotIndex, names: IO[bytes], tally: Tally
    ) -> tuple[SnapshotIndex, int, list[StoredObject]]:
        parts: list[StoredObject] = []
        item_count = 0
        async with aclosing(snapshot.export(index.name)) as export:
            async for part in export:
                tally.log_bytes = max(tally.log_bytes, snapshot.log_bytes)
                stored, written = await place.put(part.content)
                tally.count(stored.size, copied=written)
                parts.append(stored)
                item_count += len(part.attributes)
                named = await asyncio.to_thread(_named, part.attributes)
                if named:
                    tally.images_total += len(named)
                    tally.bytes_total += sum(each.stored_bytes for each in named)
                    line = [stored.sha256, stored.size, [[each.sha256, each.size] for each in named]]
                    names.write(json.dumps(line).encode() + b"\n")
        return index, item_count, parts

    async def _copy_model(self, place: BackupPlace, model_id: str, tally: Tally) -> SavedModel:
        files = []
        for file in await self._models.list_files(model_id):
            whole = StoredObject(file.sha256, file.size)
            if file.size <= PIECE_BYTES and await place.holds(whole):
                tally.count(file.size, copied=False)
                files.append(SavedFile(file.name, (whole,)))
                continue
            pieces = []
            async for piece in self._pieces(model_id, file.name):
                stored, written = await place.put(piece)
                tally.count(stored.size, copied=written)
                pieces.append(stored)
            files.append(SavedFile(file.name, tuple(pieces)))
        return SavedModel(model_id, tuple(files))

    async def _pieces(self, model_id: str, name: str) -> AsyncIterator[bytes]:
        piece = bytearray()
        async with aclosing(self._models.read_file(model_id, name)) as parts:
            async for part in parts:
                piece += part
                while len(piece) >= PIECE_BYTES:
                    yield bytes(piece[:PIECE_BYTES])
                    del piece[:PIECE_BYTES]
        yield bytes(piece)

    async def _copy_images(self, place: BackupPlace, names: IO[bytes], tally: Tally) -> dict[str, StoredObject]:
        """Copy the images of all parts; return the list of each part, by the part's SHA-256."""
        lists: dict[str, StoredObject] = {}
        names.seek(0)
        while line := await asyncio.to_thread(names.readline):
            sha256, size, named = json.loads(line)
            part = StoredObject(sha256, size)
            lists[sha256] = await self._copy_part(place, part, [Named(*each) for each in named], tally)
        return lists

    async def _copy_part(
        self, place: BackupPlace, part: StoredObject, named: Sequence[Named], tally: Tally
    ) -> StoredObject:
        known = await place.images_of(part)
        if known is not None:
            images = await place.images(known, "a list of images")
            for image in images:
                tally.count(_size(image), copied=False)
            tally.images_done += len(images)
            return known
        found: dict[str, SavedImage] = {}

        async def copy(image: Named) -> None:
            if is_sha256(image.sha256):
                found[image.sha256] = await self._copy_image(place, image, tally)
            else:
                log.warning("a backup lacks an image: an item names it by what is no SHA-256", name=image.sha256[:100])
                tally.images_missing += 1
            tally.images_done += 1

        missing = tally.images_missing
        await at_once(copy, _each(named))
        images = tuple(found[sha256] for sha256 in sorted(found))
        stored, _ = await place.put(images_to_json(images))
        if tally.images_missing == missing:  # otherwise the next backup looks for them again
            await place.put_images_of(part, stored)
        return stored

    async def _copy_image(self, place: BackupPlace, image: Named, tally: Tally) -> SavedImage:
        thumbnail = await self._copy_rendition(place, image, Rendition.THUMBNAIL, tally)
        original = None
        if image.size is not None:
            original = StoredObject(image.sha256, image.size)
            if await place.holds(original):
                tally.count(original.size, copied=False)
            else:
                original = await self._copy_rendition(place, image, Rendition.ORIGINAL, tally)
        if thumbnail is None or (image.size is not None and original is None):
            tally.images_missing += 1
        return SavedImage(image.sha256, original, thumbnail)

    async def _copy_rendition(
        self, place: BackupPlace, image: Named, rendition: Rendition, tally: Tally
    ) -> StoredObject | None:
        """Copy a file of an image; return None if it is missing or damaged, which must not prevent a backup."""
        try:
            content = await self._blobs.read(image.sha256, rendition)
        except BlobMissing as error:
            log.warning("a backup lacks a file of an image", problem=str(error))
            return None
        stored, written = await place.put(content)
        tally.count(stored.size, copied=written)
        return stored


def _named(attributes: Sequence[str]) -> list[Named]:
    """Return the images that items name, each once; items of other indexes than a collection's name none."""
    found: dict[str, Named] = {}
    for text in attributes:
        image: Any = from_text(text).get("image")
        if isinstance(image, dict) and isinstance(sha256 := image.get("sha256"), str):
            size = None if image.get("original_at") else int(image["size_bytes"])
            found[sha256] = Named(sha256, size, int(image.get("stored_bytes", 0)))
    return list(found.values())


async def _each(named: Sequence[Named]) -> AsyncIterator[Named]:
    for each in named:
        yield each


def _size(image: SavedImage) -> int:
    return sum(each.size for each in (image.original, image.thumbnail) if each is not None)


def _manifest(copied: _Copied, images: dict[str, StoredObject], tally: Tally) -> Manifest:
    return Manifest(
        format_version=FORMAT_VERSION,
        create_time=copied.create_time,
        active_model=copied.active_model,
        models=tuple(copied.models),
        indexes=tuple(
            SavedIndex(
                index.name,
                index.model_id,
                index.aliases,
                item_count,
                tuple(SavedPart(part, images.get(part.sha256)) for part in parts),
            )
            for index, item_count, parts in copied.indexes
        ),
        image_count=tally.images_done,
        bytes=tally.bytes_done,
        missing_images=tally.images_missing,
    )
