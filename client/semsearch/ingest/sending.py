"""Sends one shard of an ingest after another, as a worker does.

A file is read once: its bytes are hashed, compared with what the collection has, and sent from memory, in one upload
stream for a shard, whose window bounds what is under way. An image's id is the SHA-256 of its bytes. So a shard that is
sent again, by another worker or at the same time, adds no second image.

If the server is busy or away, the files without a result are sent again, after a delay that grows. It is given up when
nothing could be sent for `PATIENCE_SECONDS`.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from semsearch.errors import Overloaded, SemsearchError, ServerNotReady, ServerUnreachable, TimedOut
from semsearch.folders.gallery import Gallery
from semsearch.folders.places import attributes_at
from semsearch.folders.uploads import found_hashes
from semsearch.ingest.manifest import ShardOutcome
from semsearch.ingest.places import ListedFile, Place, Unreadable
from semsearch.transport.uploads import MAX_BYTES, MAX_IMAGES
from semsearch.values import Upload

PATIENCE_SECONDS = 600.0
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
_PASSING = (Overloaded, ServerNotReady, ServerUnreachable, TimedOut)


@dataclass(frozen=True)
class _Read:
    file: ListedFile
    content: bytes
    sha256: bytes


class ShardSender:
    """Sends files of a place to a collection; `root` is the first part of the paths that images get."""

    def __init__(
        self,
        client: Gallery,
        collection: str,
        place: Place,
        root: str,
        patience: float = PATIENCE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._collection = collection
        self._place = place
        self._root = root
        self._patience = patience
        self._sleep = sleep
        self._clock = clock

    def send(self, number: int, files: Sequence[ListedFile]) -> ShardOutcome:
        """Send a shard's files; every one is stored, present before, or has a problem when this returns.

        Raises:
            SemsearchError: the server refuses calls, or has been away for too long.
        """
        shard = _Shard(self._client, self._collection, self._place, self._root, files)
        left, delay, since = len(files), _FIRST_DELAY, self._clock()
        while (trouble := shard.attempt()) is not None:
            if len(shard.open) < left:
                left, delay, since = len(shard.open), _FIRST_DELAY, self._clock()
            elif self._clock() - since > self._patience:
                raise trouble
            self._sleep(max(delay, trouble.details.retry_after_seconds or 0) * random.uniform(1, 1.25))
            delay = min(2 * delay, _LONGEST_DELAY)
        return ShardOutcome(number, shard.added, shard.present, shard.problems)


class _Shard:
    """The files of a shard and what has become of them."""

    def __init__(self, client: Gallery, collection: str, place: Place, root: str, files: Sequence[ListedFile]) -> None:
        self.open = {file.path: file for file in files}
        self.added = 0
        self.present = 0
        self.problems: dict[str, str] = {}
        self._client = client
        self._collection = collection
        self._place = place
        self._root = root

    def attempt(self) -> SemsearchError | None:
        """Send the files that are open; return what stopped some of them, if it may pass."""
        sent: list[ListedFile] = []
        trouble: SemsearchError | None = None
        try:
            for result in self._client.index_images(self._uploads(sent), collection=self._collection):
                file = sent[result.number]
                if isinstance(result.error, _PASSING):
                    trouble = result.error
                    continue
                del self.open[file.path]
                if result.error is not None:
                    self.problems[file.path] = result.error.message
                elif result.duplicate_of:
                    self.present += 1
                else:
                    self.added += 1
        except _PASSING as error:
            return error
        return trouble

    def _uploads(self, sent: list[ListedFile]) -> Iterator[Upload]:
        """Yield the uploads for the images that the collection lacks; note the file of each in `sent`."""
        for batch in self._batches(list(self.open.values())):
            known = found_hashes(self._client, self._collection, {each.sha256 for each in batch})
            for each in batch:
                if each.sha256 in known:
                    del self.open[each.file.path]
                    self.present += 1
                    continue
                sent.append(each.file)
                place = f"{self._root}/{each.file.path}"
                modified = {} if each.file.modified_ns is None else {place: each.file.modified_ns}
                yield Upload(each.content, attributes=attributes_at([place], modified, {}))

    def _batches(self, files: Sequence[ListedFile]) -> Iterator[list[_Read]]:
        """Read the files, in batches of as many as the upload stream's window holds."""
        batch: list[_Read] = []
        size = 0
        for file in files:
            try:
                content = self._place.read(file.path)
            except Unreadable as error:
                del self.open[file.path]
                self.problems[file.path] = str(error)
                continue
            batch.append(_Read(file, content, hashlib.sha256(content).digest()))
            size += len(content)
            if len(batch) == MAX_IMAGES or size >= MAX_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch
