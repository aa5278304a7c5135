"""Reads the files that the server may lack, and sends those that it does lack.

A file is read once: its bytes are hashed, compared and sent from memory. At most `_BATCH_BYTES` wait here, in addition
to the upload stream's own. A file with a cached hash is only read if it must be sent.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from semsearch.folders.gallery import Gallery
from semsearch.folders.listing import Listing
from semsearch.folders.path_text import from_text
from semsearch.folders.places import attributes_at
from semsearch.folders.reading import Content, NotRead, read
from semsearch.folders.results import FileResult, Outcome, passed_over
from semsearch.folders.roots import Root
from semsearch.folders.scan import Stamp
from semsearch.folders.state import FolderState
from semsearch.values import Attributes, Upload, UploadResult

AttributesOf = Callable[[str], Attributes]
_BATCH_FILES = 64
_BATCH_BYTES = 32 * 2**20
# A file may change again within one tick of the file system's clock and keep its stamp. Some have ticks of two seconds.
_TICK_NS = 50_000_000
_COARSE_TICK_NS = 2_000_000_000
_SECOND_NS = 1_000_000_000


class FileReader:
    """Reads files of a root and remembers their hashes."""

    def __init__(self, state: FolderState, root: Root) -> None:
        self._state = state
        self._root = root

    def read(self, path: str) -> Content:
        """Read a file; raises `NotRead`."""
        now = time.time_ns()
        content = read(self._root.folder / from_text(path))
        if not _may_change_unseen(content.stamp, now):
            self._state.remember_hash(self._root.folder, path, content.stamp, content.sha256)
        return content

    def modified(self, path: str) -> int | None:
        """Return when a file was changed, in ns; None if it is gone."""
        try:
            return Path(self._root.folder, from_text(path)).stat().st_mtime_ns
        except OSError:
            return None


class Uploads:
    """The uploads of one run; iterate over it once, in the stream's thread.

    `hashes` maps paths to hashes, b"" if the file must be read; hashes of files that are read are added there. After
    the run, `places` maps hashes to paths to add to existing images; `failed` has the paths that were not stored; and
    `refused` maps hashes to the server's reason for refusing their bytes.
    """

    def __init__(
        self,
        client: Gallery,
        reader: FileReader,
        root: Root,
        listing: Listing,
        hashes: dict[str, bytes],
        attributes_of: AttributesOf,
        refused: dict[bytes, tuple[str, str]],
        *,
        reference: bool = False,
    ) -> None:
        self.places: dict[bytes, list[str]] = {}
        self.failed: set[str] = set()
        self.refused = refused
        self._client = client
        self._reader = reader
        self._root = root
        self._listing = listing
        self._hashes = hashes
        self._attributes_of = attributes_of
        self._reference = reference
        self._known = listing.hashes()
        self._results: deque[FileResult] = deque()
        self._sent: dict[int, tuple[str, bytes]] = {}
        self._count = 0

    def of(self, paths: Iterable[str]) -> Iterator[Upload]:
        """Yield the uploads for files that are new or changed."""
        batch: list[tuple[str, Content | None]] = []
        size = 0
        for path in paths:
            content: Content | None = None
            if not self._hashes[path] and (content := self._read(path)) is None:
                continue
            if self._is_settled(path):
                continue
            batch.append((path, content))
            size += len(content.data) if content else 0
            if len(batch) == _BATCH_FILES or size >= _BATCH_BYTES:
                yield from self._lacking(batch)
                batch, size = [], 0
        yield from self._lacking(batch)

    def results(self) -> Iterator[FileResult]:
        """Yield the results of files that were not sent."""
        while self._results:
            yield self._results.popleft()

    def answered(self, result: UploadResult) -> Iterator[FileResult]:
        """Yield the result of a file that was sent, if it is already known."""
        path, sha256 = self._sent.pop(result.number)
        if result.error is not None:
            self.refused[sha256] = result.error.reason, result.error.message
            self._known.discard(sha256)
            self._fail(self.refusal(path, sha256))
            yield from self.results()
        elif result.duplicate_of:
            self.places.setdefault(sha256, []).append(path)
        else:
            outcome = Outcome.REPLACED if self._listing.at(path) else Outcome.ADDED
            self._listing.add(path, sha256)
            yield FileResult(path, outcome, result.id)

    def refusal(self, path: str, sha256: bytes) -> FileResult:
        """Return the result of a file whose bytes were refused."""
        reason, problem = self.refused[sha256]
        return FileResult(path, Outcome.FAILED, "", reason, problem)

    def _read(self, path: str) -> Content | None:
        try:
            content = self._reader.read(path)
        except NotRead as error:
            self._fail(passed_over(path, error.reason, error.problem))
            return None
        self._hashes[path] = content.sha256
        return content

    def _fail(self, result: FileResult) -> None:
        self.failed.add(result.path)
        self._results.append(result)

    def _is_settled(self, path: str) -> bool:
        """Return whether a file need not be sent, and record what to do instead."""
        sha256 = self._hashes[path]
        if self._listing.is_only(path, sha256):
            self._results.append(FileResult(path, Outcome.UNCHANGED, sha256.hex()))
        elif sha256 in self.refused:
            self._fail(self.refusal(path, sha256))
        elif sha256 in self._known:
            self.places.setdefault(sha256, []).append(path)
        else:
            return False
        return True

    def _lacking(self, batch: list[tuple[str, Content | None]]) -> Iterator[Upload]:
        """Yield uploads for the files of a batch whose images the collection lacks."""
        if not batch:
            return
        wanted = {self._hashes[path] for path, _ in batch}
        self._known |= found_hashes(self._client, self._root.collection, wanted)
        batch.reverse()
        while batch:  # frees each file once it is sent
            path, content = batch.pop()
            if self._is_settled(path):
                continue
            if content is None and ((content := self._read(path)) is None or self._is_settled(path)):
                continue
            self._known.add(content.sha256)
            self._sent[self._count] = path, content.sha256
            self._count += 1
            place = self._root.place(path)
            attributes = attributes_at([place], {place: content.stamp.mtime_ns}, {})
            yield Upload(
                content.data,
                attributes={**attributes, **self._attributes_of(path)},
                original_at=place if self._reference else "",
            )


def found_hashes(client: Gallery, collection: str, hashes: Collection[bytes]) -> set[bytes]:
    """Return which of these hashes a collection has images for."""
    wanted = [sha256.hex() for sha256 in hashes]
    found = client.list_images(collection=collection, where={"image.sha256": wanted})
    return {bytes.fromhex(image.sha256) for image in found}


def _may_change_unseen(stamp: Stamp, now: int) -> bool:
    coarse = not (stamp.mtime_ns % _SECOND_NS or stamp.ctime_ns % _SECOND_NS)
    tick = _COARSE_TICK_NS if coarse else _TICK_NS
    return min(abs(now - stamp.mtime_ns), abs(now - stamp.ctime_ns)) < tick
