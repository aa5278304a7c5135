"""What a writer publishes, as JSON objects.

    head ─► root ─► manifests ─► base, changes, segments ─► pieces

The head alone is replaced. Every other object is immutable and named by the SHA-256 of its bytes, so what has not
changed is neither sent nor fetched again, and damage is noticed. A root is one state of all indexes and aliases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from index_service.definition import EngineKind

FORMAT_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Blob(_Record):
    """An immutable object: its SHA-256 in hex, and its size."""

    sha256: str
    size: int


class File(_Record):
    """A file in pieces."""

    name: str
    sha256: str
    size: int
    pieces: tuple[Blob, ...]


class PublishedSegment(_Record):
    """A segment of an index."""

    name: str
    engine: EngineKind
    row_count: int
    written_nanoseconds: int
    files: tuple[File, ...]

    def blobs(self) -> Iterator[Blob]:
        """Yield the objects that it refers to."""
        for file in self.files:
            yield from file.pieces


class Boundary(_Record):
    """A commit: its version, and the highest row number assigned by then."""

    version: int
    last_row: int


class Base(_Record):
    """The store as of a commit."""

    at: Boundary
    store: File


class Change(_Record):
    """What leads from any commit `after` to `to` or in between, to the state of `to`."""

    after: Boundary
    to: Boundary
    level: int
    parts: tuple[Blob, ...]

    @property
    def size(self) -> int:
        """The bytes of its parts."""
        return sum(part.size for part in self.parts)


class Manifest(_Record):
    """An index: `at` is reached from the base by the changes.

    A lineage is one unbroken history of commits: within it, a version means one state. The base and the segments are
    objects of their own, because they seldom change.
    """

    name: str
    lineage: str
    at: Boundary
    base_at: Boundary
    base: Blob
    changes: tuple[Change, ...]
    segments: tuple[Blob, ...]

    def blobs(self) -> Iterator[Blob]:
        """Yield the objects that it refers to."""
        yield self.base
        yield from self.segments
        for change in self.changes:
            yield from change.parts


class Entry(_Record):
    """An index in a root."""

    name: str
    lineage: str
    version: int
    manifest: Blob


class Root(_Record):
    """All indexes and aliases."""

    entries: tuple[Entry, ...]
    aliases: Mapping[str, str]


class Beat(NamedTuple):
    """A confirmation by a writer; later ones are greater.

    Each start of a writer is a term, and `number` counts the beats of one term. `writer` is random, so that two writers
    that begin at once differ.
    """

    term: int
    writer: str
    number: int

    def is_of_later_writer(self, other: Beat) -> bool:
        """Return whether this is by a writer that began after another beat's."""
        return self[:2] > other[:2]


class Head(_Record):
    """The one object that is replaced: `root` held at `beat`, and includes all that was acknowledged before it began.

    `after` is the last beat of the same term whose head was surely stored before this one began; 0 if there is none.
    `address` is where the writer is called, and `time` its clock, for people only.
    """

    format_version: int
    beat: Beat
    after: int
    root: Blob
    address: str
    time: datetime
