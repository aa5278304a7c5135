"""Publishing one index: a base of its store, the changes since, and its segments.

Each beat sends what was committed since the last one (`step`); its cost depends on that alone. What takes longer runs
beside the beats (`upkeep`), and takes effect in the beat after it has ended:

- Segments are sent after a merge. Until then, replicas keep the old ones and more live rows.
- A new base replaces the changes when they have grown to a share of it. Only its changed pieces are sent.
- Sixteen changes of one level are read again as one of the next level, so there are few of them at any time.

A change is read from the rows as they are now, so a base or a change that was read between two beats fits in.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import structlog

from index_service.errors import IndexNotFound
from index_service.local.manifest import SegmentRecord
from index_service.local.segments import SEGMENTS_FOLDER, written_nanoseconds
from index_service.local.store import STORE_FILE
from index_service.local.vector_index import VectorIndex
from index_service.replication.base import copied_store
from index_service.replication.change_log import ChangeLog, Mark
from index_service.replication.changes import boundary, parts_since
from index_service.replication.errors import PlaceDamaged
from index_service.replication.place import Place
from index_service.replication.records import Base, Blob, Boundary, Change, Manifest, PublishedSegment
from serving.object_store import ObjectMissing

log = structlog.get_logger(__name__)

# Changes may grow to this share of the base before it is renewed, so a byte written costs at most two of bases.
_BASE_SHARE = 0.5
_LEAST_BASE_BYTES = 16 * 2**20
# A store up to this size is copied within a beat when it is first published, so that a new index appears at once.
_SMALL_BYTES = 4 * 2**20
_CHANGES_PER_LEVEL = 16
# These stay when they are part of a larger change, for replicas that are a few beats behind.
_RECENT = 4


@dataclass
class _Ready:
    """Results of upkeep that the next beat takes over."""

    base: tuple[Boundary, Blob] | None = None
    larger: Change | None = None
    segments: tuple[Blob, ...] | None = None

    def forget(self, taken: _Ready) -> None:
        """Forget results that were taken over; upkeep may have added others meanwhile."""
        if self.base is taken.base:
            self.base = None
        if self.larger is taken.larger:
            self.larger = None
        if self.segments is taken.segments:
            self.segments = None


@dataclass
class _Sent:
    """What was sent of an index, for its upkeep."""

    base_bytes: int = 0
    segments: dict[str, Blob] = field(default_factory=dict)
    # The objects that a base or a segment refers to, by its SHA-256.
    pieces: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add_base(self, blob: Blob, base: Base) -> None:
        self.base_bytes = base.store.size
        self.pieces[blob.sha256] = tuple(piece.sha256 for piece in base.store.pieces)

    def add_segment(self, blob: Blob, segment: PublishedSegment) -> None:
        self.segments[segment.name] = blob
        self.pieces[blob.sha256] = tuple(piece.sha256 for piece in segment.blobs())

    def keep_only(self, blobs: Sequence[Blob]) -> None:
        kept = {blob.sha256 for blob in blobs}
        self.pieces = {sha256: pieces for sha256, pieces in self.pieces.items() if sha256 in kept}
        self.segments = {name: blob for name, blob in self.segments.items() if blob.sha256 in kept}


class IndexPublication:
    """What is published of an index. One thread calls `step` and `confirm`, another `upkeep`."""

    def __init__(self, place: Place, index: VectorIndex, published: Manifest | None) -> None:
        """Continue from the manifest that was `published` under the index's name, if it is of the same lineage."""
        self.index = index
        self._place = place
        self._log = ChangeLog(index.folder / STORE_FILE, index.uid)
        self._lock = threading.Lock()
        self._ready = _Ready()
        self._sent = _Sent()
        self._manifest: Manifest | None = None
        self._confirmed: Manifest | None = None
        self._marked: tuple[int, ...] = ()
        self._forgotten = 0
        mark = self._log.mark()
        if (
            published
            and mark
            and published.lineage == mark.lineage
            and published.at.version in mark.versions
            and self._continue(published)
        ):
            self._lineage = mark.lineage
        else:
            self._lineage = secrets.token_hex(16)
            self._log.begin(Mark(lineage=self._lineage, versions=()))

    def step(self) -> Manifest | None:
        """Send what was committed since the last step, and return the manifest; None until there is a base.

        Raises:
            IndexNotFound: the index was closed.
            StoreDamaged: the store cannot be read.
            StoreUnavailable: not everything could be sent; the next step sends it.
        """
        if self._manifest is None and self._ready.base is None and self._is_small():
            self._send_base()
        with self._lock:
            ready = replace(self._ready)
        if ready == _Ready() and self._manifest is not None and self._manifest.at.version == self.index.version:
            return self._manifest
        with self.index.read() as reader:
            if (manifest := self._based(ready)) is None:
                return None
            now = boundary(reader)
            changes = manifest.changes
            if now.version > manifest.at.version:
                parts = tuple(self._place.put(part.to_bytes()) for part in parts_since(reader, manifest.at))
                changes = (*changes, Change(after=manifest.at, to=now, level=0, parts=parts))
        if ready.larger is not None:
            changes = _folded(changes, ready.larger)
        manifest = manifest.model_copy(
            update={
                "at": now,
                "changes": tuple(each for each in changes if each.to.version > manifest.base_at.version),
                "segments": manifest.segments if ready.segments is None else ready.segments,
            }
        )
        self._mark(now.version)
        with self._lock:
            self._manifest = manifest
            self._ready.forget(ready)
        return manifest

    def confirm(self) -> None:
        """Record that the manifest of the last step is published."""
        self._confirmed = self._manifest

    def upkeep(self) -> None:
        """Send a base, segments or a larger change if that is due; may take long. Raises as `step`."""
        manifest = self._confirmed
        if manifest is not None and manifest.base_at.version > self._forgotten:
            self._log.forget_until(manifest.base_at.version)
            self._forgotten = manifest.base_at.version
        if self._ready.base is None and self._base_is_due():
            self._send_base()
        if self._ready.segments is None:
            self._send_segments()
        if manifest is not None and self._ready.larger is None and self._ready.base is None:
            self._send_larger_change(manifest)

    def used(self) -> Iterator[str]:
        """Yield the SHA-256 of all objects that are in use, or will be."""
        with self._lock:
            manifests = [each for each in (self._manifest, self._confirmed) if each is not None]
            ready = self._ready
            blobs = [blob for manifest in manifests for blob in manifest.blobs()]
            blobs += [ready.base[1]] if ready.base else []
            blobs += ready.larger.parts if ready.larger else ()
            blobs += ready.segments or ()
            self._sent.keep_only(blobs)
            pieces = self._sent.pieces
        for blob in blobs:
            yield blob.sha256
            yield from pieces.get(blob.sha256, ())

    def _continue(self, published: Manifest) -> bool:
        """Continue from a manifest; return False if something that it refers to is missing or damaged."""
        sent = _Sent()
        try:
            base = self._place.get_record(Base, published.base)
            segments = [(blob, self._place.get_record(PublishedSegment, blob)) for blob in published.segments]
        except (ObjectMissing, PlaceDamaged) as error:
            log.warning("published objects lost; the index is published anew", index=published.name, problem=str(error))
            return False
        pieces = [
            *published.blobs(),
            *base.store.pieces,
            *(each for _, segment in segments for each in segment.blobs()),
        ]
        if lost := [blob.sha256 for blob in pieces if not self._place.has(blob)]:
            log.warning("published objects lost; the index is published anew", index=published.name, objects=len(lost))
            return False
        sent.add_base(published.base, base)
        for blob, segment in segments:
            sent.add_segment(blob, segment)
        self._manifest = self._confirmed = published
        self._sent = sent
        return True

    def _based(self, ready: _Ready) -> Manifest | None:
        """Return the last manifest, with a new base if there is one."""
        if ready.base is None:
            return self._manifest
        base_at, base = ready.base
        if self._manifest is not None:
            return self._manifest.model_copy(update={"base_at": base_at, "base": base})
        return Manifest(
            name=self.index.definition.name,
            lineage=self._lineage,
            at=base_at,
            base_at=base_at,
            base=base,
            changes=(),
            segments=(),
        )

    def _mark(self, version: int) -> None:
        """Note in the store that a version is about to be published."""
        versions = (version,) if self._confirmed is None else (self._confirmed.at.version, version)
        if versions != self._marked:
            self._log.set_mark(Mark(lineage=self._lineage, versions=versions))
            self._marked = versions

    def _is_small(self) -> bool:
        try:
            return (self.index.folder / STORE_FILE).stat().st_size <= _SMALL_BYTES
        except FileNotFoundError as error:
            raise IndexNotFound(self.index.definition.name) from error

    def _base_is_due(self) -> bool:
        if self._manifest is None:
            return True
        size = sum(change.size for change in self._manifest.changes)
        return size > max(_LEAST_BASE_BYTES, _BASE_SHARE * self._sent.base_bytes)

    def _send_base(self) -> None:
        with copied_store(self.index.folder, self.index.uid, self.index.definition.dimension) as (copy, at):
            base = Base(at=at, store=self._place.put_file(copy))
        blob = self._place.put_record(base)
        with self._lock:
            self._sent.add_base(blob, base)
            self._ready.base = at, blob

    def _send_segments(self) -> None:
        records = self.index.manifest.segments
        blobs = []
        for record in records:
            if (blob := self._sent.segments.get(record.name)) is None:
                blob = self._send_segment(record)
            blobs.append(blob)
        with self._lock:
            if self._manifest is not None and tuple(blobs) != self._manifest.segments:
                self._ready.segments = tuple(blobs)

    def _send_segment(self, record: SegmentRecord) -> Blob:
        folder = self.index.folder / SEGMENTS_FOLDER / record.name
        segment = PublishedSegment(
            name=record.name,
            engine=record.engine,
            row_count=record.row_count,
            written_nanoseconds=written_nanoseconds(self.index.folder, record.name),
            files=tuple(self._place.put_file(folder / file.name) for file in record.files),
        )
        blob = self._place.put_record(segment)
        with self._lock:
            self._sent.add_segment(blob, segment)
        return blob

    def _send_larger_change(self, manifest: Manifest) -> None:
        for level in sorted({change.level for change in manifest.changes}):
            found = [change for change in manifest.changes if change.level == level]
            if len(found) < _CHANGES_PER_LEVEL + _RECENT:
                continue
            # The log has nothing from before the base.
            after = max(found[0].after, manifest.base_at, key=lambda at: at.version)
            with self.index.read() as reader:
                now = boundary(reader)
                parts = tuple(self._place.put(part.to_bytes()) for part in parts_since(reader, after))
            with self._lock:
                self._ready.larger = Change(after=after, to=now, level=level + 1, parts=parts)
            return


def _folded(changes: tuple[Change, ...], larger: Change) -> tuple[Change, ...]:
    """Return changes with those that a larger one contains replaced by it, except the most recent."""
    kept = [
        change
        for change in changes[:-_RECENT]
        if change.after.version < larger.after.version or change.to.version > larger.to.version
    ]
    return (*kept, larger, *changes[-_RECENT:])
