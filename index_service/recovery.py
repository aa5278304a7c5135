"""Opening an index, whatever state its folder was left in.

1. What lies under temporary names is removed.
2. SQLite opens the store and replays its log. If it cannot, the index is damaged: nothing else is touched.
3. The manifest is read. Missing, damaged or of another store: no segment counts.
4. The files of each segment are held against the manifest. A segment that differs in one byte does not count, nor does
   one with rows that the store has yet to give: the store was replaced by an older copy, or has lost its log.
5. The manifest is written again if it named what does not count, and the first time an index is opened: from then on
   one that is missing was lost. Folders that it does not name are removed.
6. Rows that no segment holds are loaded from the store as live rows, so that every search is right from the first one
   on. Rows of segments that the store has no more are masked.

What 3 and 4 found is returned; the caller has it rebuilt in the background.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from index_service.durable_files import remove_folder, remove_leftovers, storage_errors
from index_service.engines.contract import Engine
from index_service.manifest import MANIFEST_FILE, Manifest, SegmentRecord, UnusableManifest
from index_service.reads import StoreReader
from index_service.segments import SEGMENTS_FOLDER, last_row, open_segment
from index_service.snapshot import LiveRows, Segment, Snapshot
from index_service.store import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, eq=False)
class Recovered:
    """An index as it was found: its manifest, its rows, and what has to be rebuilt."""

    manifest: Manifest
    snapshot: Snapshot
    repairs: tuple[str, ...]


def recover(folder: Path, store: Store, engine: Engine) -> Recovered:
    """Takes the steps from 3 on for the index in `folder`, whose store is open.

    Raises:
        StorageFull: a repair could not be written.
        StoreDamaged: rows cannot be read.
    """
    segments_folder = folder / SEGMENTS_FOLDER
    with storage_errors(folder):
        segments_folder.mkdir(exist_ok=True)
        remove_leftovers(folder)
        remove_leftovers(segments_folder)
        manifest, repairs = _usable_manifest(folder, store.uid)
        repairs = [*store.repairs, *repairs]
        with store.read() as reader:
            last_given = reader.last_row()
        sound = []
        for record in manifest.segments:
            problem = record.problem(segments_folder / record.name)
            if problem is None and last_row(folder, record) > last_given:
                problem = "it holds rows that the store never gave, which is older or lost its log"
            if problem is not None:
                repairs.append(f"segment {record.name}: {problem}; its {record.row_count} rows are built again")
            else:
                sound.append(record)
        for repair in repairs:
            log.warning("damage found", folder=str(folder), problem=repair)
        if repairs or not (folder / MANIFEST_FILE).exists():
            manifest = Manifest(store.uid, tuple(sound))
            manifest.write(folder)
        named = {record.name for record in manifest.segments}
        for orphan in segments_folder.iterdir():
            if orphan.name not in named:
                remove_folder(orphan)
    with store.read() as reader:
        snapshot = _load(folder, reader, manifest.segments, engine)
    return Recovered(manifest, snapshot, tuple(repairs))


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


def _load(folder: Path, reader: StoreReader, records: tuple[SegmentRecord, ...], engine: Engine) -> Snapshot:
    version = reader.version()
    alive = reader.rows()
    in_segments = np.zeros(len(alive), dtype=np.bool_)
    segments: list[Segment] = []
    for record in records:
        opened = open_segment(folder, record, engine)
        in_segments |= np.isin(alive, opened.rows, assume_unique=True)
        segments.append(
            Segment(
                opened.rows,
                opened.vectors,
                np.isin(opened.rows, alive, assume_unique=True),
                opened.searcher,
                name=opened.name,
            )
        )
    rows = alive[~in_segments]
    live = LiveRows.of(rows, reader.vectors(rows), np.ones(len(rows), dtype=np.bool_))
    return Snapshot(version, tuple(segments), live)
