"""Opening an index, whatever state its folder was left in.

1. Remove files and folders with temporary names.
2. Let SQLite open the store and replay its log. If it cannot, the index is damaged: touch nothing else.
3. Read the manifest. If it is missing, damaged or of another store, ignore all segments. If a newer version wrote it,
   leave the index alone, as in 2.
4. Compare the files of each segment with the manifest: by content, unless their metadata shows no write (`manifest`).
   Ignore a segment that differs in one byte, one that an older version built, one that cannot be read, and one with row
   numbers that the store has not assigned yet (the store was replaced by an older copy, or has lost its log).
5. Write the manifest if it differs from what was found, or if this is the first time that the index is opened: from
   then on, a missing manifest was lost. Remove folders that it does not name.
6. Load rows that no segment holds from the store as live rows, so that the first search is already correct. Mask rows
   of segments that the store no longer has.

The problems found in 3 and 4 are returned. The caller rebuilds these segments in the background, and hashes there the
files that 4 accepted by their metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from index_service.engines.contract import Engine
from index_service.local.found_damage import FoundDamage, Repair
from index_service.local.manifest import MANIFEST_FILE, Manifest, SegmentRecord, UnusableManifest
from index_service.local.reads import StoreReader
from index_service.local.segments import SEGMENTS_FOLDER, UnusableSegment, open_segment
from index_service.local.snapshot import LiveRows, Segment, Snapshot
from index_service.local.store import Store
from index_service.storage import storage_errors
from serving.durable_files import remove_folder, remove_leftovers


@dataclass(frozen=True, eq=False)
class Recovered:
    """The recovered state of an index.

    `damage`: what was found damaged. `unhashed`: segments whose content has not been checked.
    """

    manifest: Manifest
    snapshot: Snapshot
    damage: FoundDamage
    unhashed: tuple[SegmentRecord, ...]


def recover(folder: Path, store: Store, engine: Engine) -> Recovered:
    """Run steps 1 and 3 to 6 for the index in `folder`, whose store is already open.

    Raises:
        StorageFull: a repair could not be written.
        StoreDamaged: rows cannot be read.
        StoreTooNew: a newer version of this program wrote the manifest.
    """
    segments_folder = folder / SEGMENTS_FOLDER
    damage = FoundDamage(folder)
    with storage_errors(folder):
        segments_folder.mkdir(exist_ok=True)
        remove_leftovers(folder)
        remove_leftovers(segments_folder)
        for problem in store.problems:
            damage.add(problem, Repair.RESTORE)
        found, problem = _usable_manifest(folder, store.uid)
        if problem:
            damage.add(f"manifest: {problem}; all segments will be rebuilt", Repair.MERGE)
        with store.read() as reader:
            last_given = reader.last_row()
        records, opened = [], []
        for record in found.segments:
            try:
                known, segment = _open_sound(folder, record, engine, last_given)
            except UnusableSegment as error:
                problem = f"segment {record.name}: {error}; its {record.row_count} rows will be rebuilt"
                damage.add(problem, Repair.MERGE)
                continue
            records.append(known)
            opened.append(segment)
        manifest = Manifest(store.uid, tuple(records))
        if manifest != found or not (folder / MANIFEST_FILE).exists():
            manifest.write(folder)
        named = {record.name for record in manifest.segments}
        for orphan in segments_folder.iterdir():
            if orphan.name not in named:
                remove_folder(orphan)
    with store.read() as reader:
        snapshot = load(reader, opened)
    unhashed = tuple(record for record in manifest.segments if record in found.segments)
    return Recovered(manifest, snapshot, damage, unhashed)


def _open_sound(folder: Path, record: SegmentRecord, engine: Engine, last_given: int) -> tuple[SegmentRecord, Segment]:
    """Open a segment if its files are as recorded; return it with a record of their current metadata.

    Raises:
        UnusableSegment: a file differs, an older version wrote it, it cannot be read, or a row number is above the last
            one assigned.
    """
    files = folder / SEGMENTS_FOLDER / record.name
    if not record.untouched(files):
        if problem := record.problem(files):
            raise UnusableSegment(problem)
        record = record.refreshed(files)
    segment = open_segment(folder, record, engine)
    if segment.rows[-1] > last_given:
        raise UnusableSegment("it has rows that the store never assigned; the store is older or has lost its log")
    return record, segment


def _usable_manifest(folder: Path, store_uid: str) -> tuple[Manifest, str]:
    """Return the manifest and "", or an empty one and what is wrong with the one that was found."""
    try:
        manifest = Manifest.read(folder)
    except UnusableManifest as error:
        return Manifest(store_uid), str(error)
    if manifest is not None and manifest.store_uid != store_uid:
        return Manifest(store_uid), "it belongs to another store"
    if manifest is None and any((folder / SEGMENTS_FOLDER).iterdir()):
        return Manifest(store_uid), "it is missing"
    return manifest or Manifest(store_uid), ""


def load(reader: StoreReader, opened: Sequence[Segment]) -> Snapshot:
    """Return the snapshot of a read transaction: the rows of opened segments, and all others as live rows.

    Raises:
        StoreDamaged: rows cannot be read.
    """
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
