"""One index of a replica: a local copy of the store and the segments, read like any index.

Its folder has the layout of the writer's, so `recover` opens it. Damaged segments are left out there; their rows are
live until the files are fetched again. The store is changed only by `apply`, and the segments only by `adopt`; one
thread calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from typing_extensions import override

from index_service.definition import IndexDefinition
from index_service.engines.contract import Engine
from index_service.local.connections import IdleConnections
from index_service.local.found_damage import Repair
from index_service.local.index_reads import IndexReads
from index_service.local.manifest import Manifest, SegmentRecord
from index_service.local.recovery import load, recover
from index_service.local.segments import SEGMENTS_FOLDER, open_segment
from index_service.local.snapshot import Published
from index_service.local.store import Store
from index_service.replication import changes
from index_service.replication.place import Place
from index_service.replication.records import Change
from index_service.replication.refusals import ReadReplica
from serving.durable_files import remove_folder


class ReplicaIndex(IndexReads):
    """An open index of a replica."""

    def __init__(self, folder: Path, engine: Callable[[IndexDefinition], Engine], idle: IdleConnections) -> None:
        """Open the index in `folder`.

        Raises:
            StoreDamaged, StorageFull, TooManyOpenFiles: it cannot be opened.
        """
        store = Store.open(folder, idle)
        try:
            self._engine = engine(store.definition)
            recovered = recover(folder, store, self._engine)
        except BaseException:
            store.close()
            raise
        super().__init__(folder, store, Published(recovered.snapshot), recovered.damage)
        self._manifest = recovered.manifest

    @property
    @override
    def manifest(self) -> Manifest:
        """The segments in use, as on disk."""
        return self._manifest

    def apply(self, change: Change, place: Place) -> None:
        """Fetch a change and apply it; readers see all of it or nothing.

        Raises:
            ObjectMissing, StoreUnavailable, PlaceDamaged: it cannot be fetched; nothing has changed.
            StorageFull, StoreDamaged: the store cannot be written.
        """
        dimension = self.definition.dimension
        parts = (changes.Part.from_bytes(place.get(blob), dimension) for blob in change.parts)
        with self._store.write() as connection:
            changed = changes.apply(connection, change, parts, dimension)
        self._published.update(lambda snapshot: snapshot.after(changed))

    def adopt(self, records: Sequence[SegmentRecord]) -> None:
        """Use these segments, whose files are in the folder, instead of the present ones, and remove the others.

        Raises:
            StorageFull, StoreDamaged: it is not possible; nothing has changed.
        """
        present = {segment.name: segment for segment in self._published.newest.segments}
        opened = [present.get(record.name) or open_segment(self.folder, record, self._engine) for record in records]
        with self._store.read() as reader:
            snapshot = load(reader, opened)
        manifest = replace(self._manifest, segments=tuple(records))
        manifest.write(self.folder)
        self._manifest = manifest
        self._published.update(lambda _: snapshot)
        self._published.forget_older()
        kept = {record.name for record in records}
        for folder in (self.folder / SEGMENTS_FOLDER).iterdir():
            if folder.name not in kept:
                remove_folder(folder)

    def repaired(self) -> None:
        """Note that all segments of the writer are in use, so none is left out because of damage."""
        self._damage.repaired(Repair.MERGE)

    def refuse(self, *_: object, **__: object) -> NoReturn:
        """Refuse a write.

        Raises:
            ReadReplica: always.
        """
        raise ReadReplica("")

    upsert = delete = bulk = optimize = refuse

    def close(self) -> None:
        """Close the files; running reads finish."""
        self._store.close()
