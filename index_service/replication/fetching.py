"""Fetching a base or a segment into a folder: under a temporary name, checked and synced, then renamed."""

from __future__ import annotations

import os
from pathlib import Path

from index_service.local.manifest import FileRecord, SegmentRecord
from index_service.local.segments import SEGMENTS_FOLDER
from index_service.local.store import STORE_FILE
from index_service.replication.errors import PlaceDamaged
from index_service.replication.place import Place
from index_service.replication.records import Base, File, PublishedSegment
from index_service.storage import storage_errors
from serving.durable_files import discard, publish, sync, temporary_beside


def fetch_base(place: Place, base: Base, folder: Path) -> None:
    """Make an index's folder from a base.

    Raises:
        ObjectMissing, StoreUnavailable, PlaceDamaged: it cannot be fetched.
        StorageFull: it cannot be written.
    """
    temporary = temporary_beside(folder)
    try:
        with storage_errors(folder):
            temporary.mkdir(parents=True)
            _fetch(place, base.store, temporary / STORE_FILE)
            sync(temporary)
            publish(temporary, folder)
    finally:
        discard(temporary)


def fetch_segment(place: Place, segment: PublishedSegment, index_folder: Path) -> SegmentRecord:
    """Make a segment's folder; return the record of its files. Raises as `fetch_base`."""
    folder = index_folder / SEGMENTS_FOLDER / segment.name
    temporary = temporary_beside(folder)
    try:
        with storage_errors(folder):
            temporary.mkdir()
            files = tuple(_fetch(place, file, temporary / file.name) for file in segment.files)
            sync(temporary)
            os.utime(temporary, ns=(segment.written_nanoseconds, segment.written_nanoseconds))
            publish(temporary, folder)
    finally:
        discard(temporary)
    return SegmentRecord(segment.name, segment.engine, segment.row_count, files)


def _fetch(place: Place, file: File, path: Path) -> FileRecord:
    with path.open("wb") as written:
        for piece in place.pieces(file):
            written.write(piece)
    sync(path)
    record = FileRecord.of(path)
    if record.sha256 != file.sha256:
        raise PlaceDamaged(f"The published file {file.name} does not match its checksum.")
    return record
