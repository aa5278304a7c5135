"""Decide what to do with each image of a stream, before anything is embedded.

The rules, for an image with the bytes S that the caller calls X, or does not name:
1. The collection has S under the id X: the attributes are replaced where the caller sent any, nothing else is done.
2. The collection has S under other ids, or X is not given: a duplicate of the oldest of them; nothing is changed.
3. Otherwise it is added as X, or as the hex SHA-256 of S. Where X has other bytes, they are replaced.

"The collection" includes images of the same stream that are still on their way. Where another caller changes what a
plan was based on before it is carried out, the upload is planned again (`storing.py`). Two streams that add the same
bytes at the same time under two ids of the callers' own do not see each other; without ids of their own both name the
same item.

An image whose bytes are known but whose file is missing is embedded again under its old id, which mends it. So is one
whose original the caller kept, once it is sent to be stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.backends.attributes import Attributes
from gateway.backends.filters import is_one_of
from gateway.backends.vector_index import VectorIndex
from gateway.collections.blobs import BlobStore
from gateway.collections.images import StoredImage
from gateway.collections.names import errors_of
from gateway.collections.placements import Placements

_LOOKUP_PAGE = 1_000


@dataclass(frozen=True)
class Upload:
    """An image as it came: `id` is empty and `attributes` None where the caller sent none.

    `original_at` is where the caller keeps the original, which is then not to be stored. `sha256` is filled in when it
    is read. `error` says why it is refused unread.
    """

    sequence: int
    content: bytes
    id: str = ""
    attributes: Attributes | None = None
    original_at: str = ""
    sha256: str = ""
    error: Exception | None = None


@dataclass(eq=False)
class Entry:
    """An image that is in the collection, or on its way there (`content` is set).

    `original_at` is that of its upload. `replaces` is what its id stood for when it was planned. What follows it in the
    stream reads here why it was refused (`error`), or that it was `outdated`: something else was written to its id, so
    it is planned again, and so is what follows it.
    """

    id: str
    sha256: str
    content: bytes | None = None
    attributes: Attributes | None = None
    original_at: str = ""
    replaces: StoredImage | None = None
    error: Exception | None = None
    outdated: bool = False

    @property
    def is_mended(self) -> bool:
        """Whether it is embedded again because its files are missing."""
        return self.replaces is not None and self.replaces.sha256 == self.sha256

    @property
    def original(self) -> bytes | None:
        """The bytes to store, unless the caller keeps them."""
        return None if self.original_at else self.content


@dataclass(frozen=True)
class Step:
    """What is to be done with an upload.

    Exactly one of `error` and `entry` is set. `adds`: the entry is to be embedded. `attributes`: those that the entry
    is to have. `duplicate`: it is answered as a duplicate of the entry.
    """

    upload: Upload
    entry: Entry | None = None
    adds: bool = False
    duplicate: bool = False
    attributes: Attributes | None = None
    error: Exception | None = None


class IngestPlanner:
    """Plans the images of one stream, batch by batch, in the stream's order."""

    def __init__(self, index: VectorIndex, blobs: BlobStore, placements: Placements, collection: str) -> None:
        self._index = index
        self._blobs = blobs
        self._placements = placements
        self._collection = collection
        self._pending: list[Entry] = []
        self._settled = asyncio.Event()
        self._settled.set()

    async def plan(self, uploads: Sequence[Upload]) -> tuple[list[Step], Sequence[Upload]]:
        """Plan a batch or its first part; return the steps and the remaining uploads.

        Some remain if the next one depends on whether a pending replacement succeeds: await `settled` first. Raises
        the index's errors.
        """
        # Copied before the lookup: an entry that finishes in between is in at least one of them.
        pending = list(self._pending)
        stored_by_sha, stored_by_id = await self._look_up([upload for upload in uploads if upload.error is None])
        steps: list[Step] = []
        for number, upload in enumerate(uploads):
            if upload.error is None and any(_conflict(upload, entry) for entry in pending):
                return steps, uploads[number:]
            step = _step(upload, pending, stored_by_sha, stored_by_id)
            steps.append(step)
            if step.adds and step.entry:
                pending.append(step.entry)
                self._pending.append(step.entry)
                self._settled.clear()
        return steps, ()

    def finish(self, steps: Sequence[Step]) -> None:
        """Forget an answered batch: the index has it now."""
        done = {id(step.entry) for step in steps if step.adds}
        self._pending = [entry for entry in self._pending if id(entry) not in done]
        if not self._pending:
            self._settled.set()

    async def settled(self) -> None:
        """Wait until no entry is pending."""
        await self._settled.wait()

    async def _look_up(self, uploads: Sequence[Upload]) -> tuple[dict[str, list[Entry]], dict[str, StoredImage]]:
        """Return what the collection has: entries by SHA-256, oldest first, and images by id."""
        if not uploads:
            return {}, {}
        by_bytes = {upload.sha256: upload for upload in uploads}
        # Of several uploads of the same bytes, one that wants them stored decides.
        by_bytes |= {upload.sha256: upload for upload in uploads if not upload.original_at}
        ids = list({each.id or each.sha256 for each in uploads})
        same_bytes, same_ids = await self._placements.using(
            self._collection,
            lambda placement: asyncio.gather(
                self._with_bytes(placement.index, list(by_bytes)), self._with_ids(placement.index, ids)
            ),
        )
        there = await asyncio.gather(*(self._is_intact(image, by_bytes[image.sha256]) for image in same_bytes))
        by_sha: dict[str, list[Entry]] = {}
        for image, intact in zip(same_bytes, there, strict=True):
            upload = by_bytes[image.sha256]
            entry = (
                Entry(image.id, image.sha256)
                if intact
                else Entry(image.id, image.sha256, upload.content, None, upload.original_at, image)
            )
            by_sha.setdefault(image.sha256, []).append(entry)
        return by_sha, {image.id: image for image in same_ids}

    async def _is_intact(self, image: StoredImage, upload: Upload) -> bool:
        """Return whether the files are there that an upload of an image's bytes wants there."""
        if await self._blobs.holds(image.sha256, image.size_bytes):
            return not image.original_at or bool(upload.original_at)
        return bool(image.original_at and upload.original_at) and await self._blobs.holds_thumbnail(image.sha256)

    async def _with_bytes(self, index: str, sha256s: list[str]) -> list[StoredImage]:
        test = is_one_of("image.sha256", sha256s)
        found: list[StoredImage] = []
        token = ""
        while True:
            with errors_of(self._collection):
                items, token = await self._index.list_items(
                    index, page_size=_LOOKUP_PAGE, page_token=token, filter_=test
                )
            found += [StoredImage.from_item(self._collection, item) for item in items]
            if not token:
                return found

    async def _with_ids(self, index: str, ids: list[str]) -> list[StoredImage]:
        with errors_of(self._collection):
            items = await self._index.get_items(index, ids)
        return [StoredImage.from_item(self._collection, item) for item in items]


def _conflict(upload: Upload, entry: Entry) -> bool:
    """Return whether an upload needs to know how another that is on its way ends: both are about one id."""
    replaced = entry.replaces.sha256 if entry.replaces else ""
    return entry.sha256 != upload.sha256 and (entry.id == (upload.id or upload.sha256) or replaced == upload.sha256)


def _step(
    upload: Upload,
    pending: Sequence[Entry],
    stored_by_sha: Mapping[str, Sequence[Entry]],
    stored_by_id: Mapping[str, StoredImage],
) -> Step:
    if upload.error is not None:
        return Step(upload, error=upload.error)
    adds = False
    known = next((entry for entry in pending if entry.sha256 == upload.sha256), None)
    if known is None and (stored := stored_by_sha.get(upload.sha256)):
        known = next((entry for entry in stored if entry.id == upload.id), stored[0])
        adds = known.content is not None
    if known is not None:
        same = upload.id == known.id
        return Step(upload, known, adds=adds, duplicate=not same, attributes=upload.attributes if same else None)
    image_id = upload.id or upload.sha256
    entry = Entry(
        image_id, upload.sha256, upload.content, upload.attributes, upload.original_at, stored_by_id.get(image_id)
    )
    return Step(upload, entry, adds=True)
