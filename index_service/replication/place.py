"""The place in an object store where a writer publishes: immutable objects under their SHA-256, and one head.

An object that a reader gets is whole: its bytes are compared with its name. Objects that nothing refers to any more are
kept for a grace, so that a replica can finish what it has begun.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from index_service.replication.errors import PlaceDamaged, PlaceTooNew
from index_service.replication.metrics import FETCHED_BYTES, PUBLISHED_BYTES
from index_service.replication.records import FORMAT_VERSION, Blob, File, Head
from serving.object_store import ObjectMissing, ObjectStore

HEAD = "head.json"
_OBJECTS = "objects/"
# Large enough for few requests, and small enough that several fit into memory.
PIECE_BYTES = 8 * 2**20

R = TypeVar("R", bound=BaseModel)


class Place:
    """A place to publish to and to read from; thread-safe."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        # What is stored, and its size.
        self._known: dict[str, int] = {}
        # When an object was first found to be unused. One that is not known may be there: its removal failed.
        self._unused: dict[str, float] = {}
        self._removing = threading.Lock()
        self._doomed: frozenset[str] = frozenset()

    def head(self) -> Head | None:
        """Return the head; None if nothing was published.

        Raises:
            StoreUnavailable: the store does not answer.
            PlaceDamaged, PlaceTooNew: it cannot be read.
        """
        try:
            content = self._store.get(HEAD)
        except ObjectMissing:
            return None
        head = _parsed(Head, content, HEAD)
        if head.format_version > FORMAT_VERSION:
            raise PlaceTooNew(head.format_version, FORMAT_VERSION)
        return head

    def write_head(self, head: Head) -> None:
        """Replace the head: the commit point of everything that it refers to."""
        self._store.put(HEAD, head.model_dump_json().encode())

    def get(self, blob: Blob) -> bytes:
        """Return an object.

        Raises:
            ObjectMissing: it is gone, or was never stored.
            StoreUnavailable: the store does not answer.
            PlaceDamaged: its bytes are not those that were stored.
        """
        content = self._store.get(_key(blob.sha256))
        FETCHED_BYTES.inc(len(content))
        if hashlib.sha256(content).hexdigest() != blob.sha256:
            raise PlaceDamaged(f"The published object {blob.sha256} does not match its checksum.")
        return content

    def get_record(self, kind: type[R], blob: Blob) -> R:
        """Return an object that is a record; raises as `get`."""
        return _parsed(kind, self.get(blob), blob.sha256)

    def put(self, content: bytes) -> Blob:
        """Store an object unless it is there.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        blob = Blob(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        with self._lock:
            self._unused.pop(blob.sha256, None)
            is_known, is_doomed = self._known.get(blob.sha256) == blob.size, blob.sha256 in self._doomed
        if is_doomed:
            with self._removing:  # or it would be removed after it was stored again
                pass
        if not is_known:
            self._store.put(_key(blob.sha256), content)
            PUBLISHED_BYTES.inc(len(content))
            with self._lock:
                self._known[blob.sha256] = blob.size
        return blob

    def has(self, blob: Blob) -> bool:
        """Return whether an object was stored since the last survey, or found by it with the right size."""
        with self._lock:
            return self._known.get(blob.sha256) == blob.size

    def put_record(self, record: BaseModel) -> Blob:
        """Store a record unless it is there; raises as `put`."""
        return self.put(record.model_dump_json().encode())

    def put_file(self, path: Path) -> File:
        """Store a file in pieces; raises as `put`, and OSError if the file cannot be read."""
        digest, pieces = hashlib.sha256(), []
        with path.open("rb") as file:
            while content := file.read(PIECE_BYTES):
                digest.update(content)
                pieces.append(self.put(content))
        return File(
            name=path.name,
            sha256=digest.hexdigest(),
            size=sum(piece.size for piece in pieces),
            pieces=tuple(pieces),
        )

    def pieces(self, file: File) -> Iterator[bytes]:
        """Yield the pieces of a file; raises as `get`."""
        for piece in file.pieces:
            yield self.get(piece)

    def survey(self) -> None:
        """Find out which objects are there.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        found = {info.key.rpartition("/")[2]: info.size for info in self._store.list(_OBJECTS)}
        with self._lock:
            self._known = found
            self._unused = {}

    def remove_unused(self, used: Iterable[str], grace_seconds: float) -> None:
        """Remove objects that have not been used for a grace.

        Args:
            used: the SHA-256 of all objects that are used, or will be.
            grace_seconds: how long an unused object stays.

        Raises:
            StoreUnavailable: the store does not answer; the next call tries again.
        """
        now = time.monotonic()
        in_use = set(used)
        with self._removing:
            with self._lock:
                self._unused = {
                    sha256: self._unused.get(sha256, now)
                    for sha256 in (*self._known, *self._unused)
                    if sha256 not in in_use
                }
                self._doomed = frozenset(
                    sha256 for sha256, since in self._unused.items() if now - since >= grace_seconds
                )
                for sha256 in self._doomed:
                    self._known.pop(sha256, None)
            try:
                if self._doomed:
                    self._store.delete([_key(sha256) for sha256 in self._doomed])
                with self._lock:
                    for sha256 in self._doomed:
                        self._unused.pop(sha256, None)
            finally:
                with self._lock:
                    self._doomed = frozenset()


def _key(sha256: str) -> str:
    return f"{_OBJECTS}{sha256[:2]}/{sha256}"


def _parsed(kind: type[R], content: bytes, name: str) -> R:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise PlaceDamaged(f"The published object {name} cannot be read: {error.errors()[0]['msg']}.") from error
