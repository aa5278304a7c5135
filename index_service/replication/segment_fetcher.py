"""Getting the segments of a replica's indexes, beside the polls.

An index that is not served yet waits for its segments, because without them all of its rows would be in memory. One
that is served goes on with what it has until all segments of a manifest are here.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import structlog

from index_service.errors import IndexNotFound, StoreDamaged
from index_service.local.manifest import SegmentRecord
from index_service.local.segments import SEGMENTS_FOLDER
from index_service.replication.fetching import fetch_segment
from index_service.replication.metrics import REFETCHED
from index_service.replication.place import Place
from index_service.replication.records import Blob, Manifest, PublishedSegment
from index_service.replication.replica_index import ReplicaIndex

log = structlog.get_logger(__name__)


class SegmentFetcher:
    """Fetches segments, and checks those that were fetched before a restart; one thread calls it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="segments")
        # By index: the segments of its last manifest, those being fetched, those fetched but not in use yet, and the
        # names of damaged ones.
        self._described: dict[str, dict[Blob, PublishedSegment]] = {}
        self._fetching: dict[str, Future[list[SegmentRecord]]] = {}
        self._fetched: dict[str, dict[str, SegmentRecord]] = {}
        self._verifying: dict[str, Future[_Damage]] = {}
        # By index: the folder that all of these are about. An index that is fetched anew gets another one.
        self._folders: dict[str, Path] = {}

    @property
    def are_waiting(self) -> bool:
        """Whether some index waits for segments."""
        return bool(self._fetching or self._verifying)

    def is_waiting(self, index: str) -> bool:
        """Return whether an index waits for segments."""
        return index in self._fetching or index in self._verifying

    def verify(self, index: ReplicaIndex) -> None:
        """Check the files of an index in the background."""
        self._begin(index)
        self._verifying[index.definition.name] = self._thread.submit(_damage, index)

    def drop_damaged(self, index: ReplicaIndex) -> bool:
        """Drop segments that a check found to be damaged; return whether the store, and so all of the index, is."""
        self._begin(index)
        name = index.definition.name
        if (verifying := self._verifying.get(name)) is None or not verifying.done():
            return False
        del self._verifying[name]
        damage = verifying.result()
        if damage.segments:
            log.warning("segments damaged; they will be fetched again", index=name, segments=damage.segments)
            REFETCHED.inc(len(damage.segments))
            index.adopt([record for record in index.manifest.segments if record.name not in damage.segments])
        if damage.store:
            log.warning("store damaged; it will be fetched again", index=name, problem=damage.store)
            REFETCHED.inc()
        return bool(damage.store)

    def bring(self, index: ReplicaIndex, manifest: Manifest, is_served: bool) -> None:
        """Let an index use the segments of a manifest if they are here; fetch them otherwise.

        Raises:
            ObjectMissing, StoreUnavailable, PlaceDamaged, StorageFull: they cannot be fetched now.
        """
        self._begin(index)
        wanted = self._describe(manifest)
        here = {record.name: record for record in index.manifest.segments}
        if list(here) == [segment.name for segment in wanted]:
            index.repaired()
            return
        here |= self._take_fetched(manifest.name)
        missing = [segment for segment in wanted if segment.name not in here]
        if missing and is_served:
            if manifest.name not in self._fetching:
                self._fetching[manifest.name] = self._thread.submit(self._fetch, missing, index)
            return
        here |= {record.name: record for record in self._fetch(missing, index)}
        index.adopt([here[segment.name] for segment in wanted])
        index.repaired()
        self._fetched.pop(manifest.name, None)

    def forget_others(self, indexes: Collection[str]) -> None:
        """Forget what is known of all indexes but these."""
        for known in (self._described, self._fetching, self._fetched, self._verifying, self._folders):
            for name in known.keys() - set(indexes):
                del known[name]

    def close(self) -> None:
        """Drop queued work and let the current one finish."""
        self._thread.shutdown(cancel_futures=True)

    def _begin(self, index: ReplicaIndex) -> None:
        """Forget what is known of an index in a folder that it does not use any more."""
        name = index.definition.name
        if self._folders.get(name) != index.folder:
            for known in (self._fetching, self._fetched, self._verifying):
                known.pop(name, None)
            self._folders[name] = index.folder

    def _describe(self, manifest: Manifest) -> list[PublishedSegment]:
        known = self._described.get(manifest.name, {})
        described = {
            blob: known.get(blob) or self._place.get_record(PublishedSegment, blob) for blob in manifest.segments
        }
        self._described[manifest.name] = described
        return list(described.values())

    def _fetch(self, segments: list[PublishedSegment], index: ReplicaIndex) -> list[SegmentRecord]:
        return [fetch_segment(self._place, segment, index.folder) for segment in segments]

    def _take_fetched(self, name: str) -> dict[str, SegmentRecord]:
        """Return the segments of an index that are here but not in use yet."""
        if (fetching := self._fetching.get(name)) is not None and fetching.done():
            del self._fetching[name]
            self._fetched.setdefault(name, {}).update({record.name: record for record in fetching.result()})
        return self._fetched.get(name, {})


@dataclass(frozen=True)
class _Damage:
    """What is wrong with the store, if anything is, and the names of damaged segments."""

    store: str
    segments: Collection[str]


def _damage(index: ReplicaIndex) -> _Damage:
    folder = index.folder / SEGMENTS_FOLDER
    segments = [record.name for record in index.manifest.segments if record.problem(folder / record.name)]
    try:
        with index.read() as reader:
            reader.check_structure()
    except StoreDamaged as error:
        return _Damage(str(error), segments)
    except IndexNotFound:  # closed meanwhile
        return _Damage("", ())
    return _Damage("", segments)
