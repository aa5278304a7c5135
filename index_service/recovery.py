"""Opening an index, whatever state its folder was left in.

1. What lies under temporary names is removed.
2. SQLite opens the store and replays its log. If it cannot, the index is damaged: nothing else is touched.
3. The manifest is read. Missing, damaged or of another store: no segment counts. One of a newer version: the index is
   left alone, as 2 says.
4. The files of each segment are held against the manifest, by their content unless the system knows of no write to them
   (`manifest`). A segment that differs in one byte does not count, nor does one that an older version built,
   nor one with rows that the store has yet to give: the store was replaced by an older copy, or has lost its log.
5. The manifest is written again if it is not as things are, and the first time an index is opened: from then on one
   that is missing was lost. Folders that it does not name are removed.
6. Rows that no segment holds are loaded from the store as live rows, so that every search is right from the first one
   on. Rows of segments that the store has no more are masked.

What 3 and 4 found is returned; the caller has it rebuilt in the background, and has the files hashed there that 4
took the system's word for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import structlog

from index_service.engines.contract import Engine
from index_service.manifest import MANIFEST_FILE, Manifest, SegmentRecord, UnusableManifest
from index_service.reads import StoreReader
from index_service.segments import SEGMENTS_FOLDER, UnusableSegment, last_row, open_segment
from index_service.snapshot import LiveRows, Segment, Snapshot
from index_service.storage import storage_errors
from index_service.store import Store
from serving.durable_files import remove_folder, remove_leftovers

log = structlog.get_logger(__name__)


@dataclass(frozen=True, eq=False)
class Recovered:
    """An index as it was found.

    `repairs`: what has to be rebuilt. `unhashed`: the segments whose content was not looked at.
    """

    manifest: Manifest
    snapshot: Snapshot
    repairs: tuple[str, ...]
    unhashed: tuple[SegmentRecord, ...]


def recover(folder: Path, store: Store, engine: Engine) -> Recovered:
    """Take the steps from 3 on for the index in `folder`, whose store is open.

    Raises:
        StorageFull: a repair could not be written.
        StoreDamaged: rows cannot be read.
        StoreTooNew: a newer version wrote the manifest.
    """
    segments_folder = folder / SEGMENTS_FOLDER
    with storage_errors(folder):
        segments_folder.mkdir(exist_ok=True)
        remove_leftovers(folder)
        remove_leftovers(segments_folder)
        found, repairs = _usable_manifest(folder, store.uid)
        repairs = [*store.repairs, *repairs]
        with store.read() as reader:
            last_given = reader.last_row()
        records, opened = [], []
        for record in found.segments:
            try:
                known, segment = _open_sound(folder, record, engine, last_given)
            except UnusableSegment as error:
                repairs.append(f"segment {record.name}: {error}; its {record.row_count} rows are built again")
                continue
            records.append(known)
            opened.append(segment)
        for repair in repairs:
            log.warning("damage found", folder=str(folder), problem=repair)
        manifest = Manifest(store.uid, tuple(records))
        if manifest != found or not (folder / MANIFEST_FILE).exists():
            manifest.write(folder)
        named = {record.name for record in manifest.segments}
        for orphan in segments_folder.iterdir():
            if orphan.name not in named:
                remove_folder(orphan)
    with store.read() as reader:
        snapshot = _load(reader, opened)
    unhashed = tuple(record for record in manifest.segments if record in found.segments)
    return Recovered(manifest, snapshot, tuple(repairs), unhashed)


def _open_sound(folder: Path, record: SegmentRecord, engine: Engine, last_given: int) -> tuple[SegmentRecord, Segment]:
    """Open a segment if its files are as recorded; return it with a record of their present sizes and times.

    Raises:
        UnusableSegment: they are not, or an older version wrote them, or it has rows after the last that were given.
    """
    files = folder / SEGMENTS_FOLDER / record.name
    if not record.untouched(files):
        if problem := record.problem(files):
            raise UnusableSegment(problem)
        record = record.described_anew(files)
    if last_row(folder, record) > last_given:
        raise UnusableSegment("it holds rows that the store never gave, which is older or lost its log")
    return record, open_segment(folder, record, engine)


def _usable_manifest(folder: Path, store_uid: str) -> tuple[Manifest, list[str]]:
    try:
        manifest = Manifest.read(folder)
    except UnusableManifest as error:
        return Manifest(store_uid), [f"manifest: {error}; all segments are built again"]
    if manifest is not None and manifest.store_uid != store_uid:
        return Manifest(store_uid), ["manifest: it belongs to another store; all segments are built again"]
    if manifest is None and any((folder / SEGMENTS_FOLDER).iterdir()):
        return Manifest(store_uid), ["manifest: it is missing; all segments are built again"]
    return manifest or Manifest(store_uid), []


def _load(reader: StoreReader, opened: Sequence[Segment]) -> Snapshot:
    version = reader.version()
    alive = reader.rows()
    in_segments = np.zeros(len(alive), dtype=np.bool_)
    segments: list[Segment] = []
    for segment in opened:
        in_segments |= np.isin(alive, segment.rows, assume_unique=True)
        segments.append(replace(segment, alive=np.isin(segment.rows, alive, assume_unique=True)))
    rows = alive[~in_segments]
    live = LiveRows.of(rows, reader.vectors(rows), np.ones(len(rows), dtype=np.bool_))
    return Snapshot(version, tuple(segments), live)
