"""Merges: live rows and old segments are folded into a new segment without dead rows; searches and writes continue.

1. Choose what to fold from a snapshot (`merge_plan`).
2. Write the rows alive in it as a new segment, sync and rename it.
3. Replace the folded segments by the new one in the manifest: the commit point.
4. Publish the new snapshot: rows deleted during the merge are masked in it, rows added during the merge stay live.
5. Remove the folders of the old segments; their mapped files remain until the last search that uses them ends.

If the process stops before 3, nothing has changed, and the next start removes what was written. If it stops after 3,
the next start finds the new segment. A merge never writes the store, so it cannot lose data.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog

from index_service import metrics
from index_service.definition import EngineKind
from index_service.engines.contract import Engine
from index_service.errors import BuildStopped
from index_service.local.background import Background
from index_service.local.found_damage import FoundDamage, Repair
from index_service.local.manifest import Manifest, SegmentRecord
from index_service.local.merge_plan import Plan, Thresholds, plan, plan_all
from index_service.local.reads import StoreReader
from index_service.local.segments import SEGMENTS_FOLDER, open_segment, stored_part, write_segment
from index_service.local.snapshot import Published, Segment, Snapshot
from index_service.storage import lacks_handles, storage_errors
from index_service.thread_work import log_failure, start, submit_after
from serving.durable_files import remove_folder

Progress = Callable[[int, int], None]
# Yields a read transaction of the store and the snapshot of the same version.
Pin = Callable[[], AbstractContextManager[tuple[StoreReader, Snapshot]]]

log = structlog.get_logger(__name__)

# The pause after a failed merge, so that a full disk is not written to again and again.
_RETRY_SECONDS = 60.0
# Live rows are in memory; above this size they are folded even during a bulk write.
_MAX_LIVE_BYTES = 2**29


class Merger:
    """The merges of one index, one at a time, on the merge thread."""

    def __init__(
        self,
        folder: Path,
        kind: EngineKind,
        engine: Engine,
        manifest: Manifest,
        published: Published,
        damage: FoundDamage,
        thresholds: Thresholds,
        background: Background,
    ) -> None:
        self._folder = folder
        self._kind = kind
        self._engine = engine
        self._manifest = manifest
        self._published = published
        self._damage = damage
        self._thresholds = thresholds
        self._background = background
        self._verified: Future[None] = Future()
        self._verified.set_result(None)
        self._lock = threading.Lock()
        # A second lock, so that a commit that requests a merge does not wait for the sync of a manifest.
        self._commit_lock = threading.Lock()
        self._queued = False
        self._pauses = 0
        self._closed = False
        self._not_before = 0.0

    def start_if_due(self, *, forced: bool = False) -> None:
        """Queue a background merge if none is queued and one is due, or `forced`; cheap enough for every commit."""
        with self._lock:
            if self._queued or self._closed or time.monotonic() < self._not_before:
                return
            if self._pauses and not forced and self._published.newest.live.vectors.nbytes < _MAX_LIVE_BYTES:
                return
            if not forced and plan(self._published.newest, self._thresholds) is None:
                return
            self._queued = True
        log_failure(self._once_verified(lambda: self._in_background(forced=forced)))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Start no merge in this block unless live rows use too much memory; start one at the end if it is due.

        Rows of a bulk write would be folded again and again: 400,000 took five merges, and the last one redid the work
        of all the others.
        """
        with self._lock:
            self._pauses += 1
        try:
            yield
        finally:
            with self._lock:
                self._pauses -= 1
            self.start_if_due()

    def fold_all(self, progress: Progress) -> Future[None]:
        """Fold everything into one segment; `progress` is called with the number of rows done and of all rows.

        The future raises BuildFailed or StorageFull if that is not possible; nothing has changed then.
        """
        return self._once_verified(lambda: self._fold_all(progress))

    def rebuild(self, pin: Pin, progress: Progress) -> Future[None]:
        """Write everything from the store into one segment, ignoring the old ones; otherwise as `fold_all`."""
        return self._background.merges.submit(self._rebuild, pin, progress)

    def verify(self, records: Sequence[SegmentRecord], pin: Pin) -> None:
        """Hash the files of segments in the background; if one is damaged, note it and rebuild everything.

        Until this has finished, no segment is folded: a damaged vector would get a valid checksum.
        """
        if records:
            self._verified = self._background.checks.submit(self._verify, records, pin)
            log_failure(self._verified)

    @property
    def manifest(self) -> Manifest:
        """The current manifest, which is the one on disk."""
        with self._commit_lock:
            return self._manifest

    def close(self) -> None:
        """Stop a running merge; none commits after this."""
        with self._commit_lock:
            self._closed = True
        self._engine.stop()
        self._background.merging.succeeded(str(self._folder))  # no merge is pending any more

    def _once_verified(self, work: Callable[[], None]) -> Future[None]:
        return submit_after(self._verified, self._background.merges, work)

    def _fold_all(self, progress: Progress) -> None:
        self._check_open()
        chosen = plan_all(self._published.newest)
        total = self._published.newest.alive_count if chosen is None else chosen.row_count
        progress(0, total)
        if chosen is None:
            self._damage.repaired(Repair.MERGE)  # what was left out has no rows any more
        else:
            self._merge(chosen, lambda done: progress(done, total))
        progress(total, total)

    def _rebuild(self, pin: Pin, progress: Progress) -> None:
        with pin() as (reader, before):
            stored = stored_part(reader)
        total = len(stored.rows)
        progress(0, total)
        self._merge(Plan(before, before.segments, stored), lambda done: progress(done, total))
        progress(total, total)

    def _verify(self, records: Sequence[SegmentRecord], pin: Pin) -> None:
        for record in records:
            problem = self._problem(record)
            if problem is None or self._closed or record not in self.manifest.segments:
                continue
            self._damage.add(f"segment {record.name}: {problem}; all rows will be rebuilt", Repair.REBUILD)
            start(self._background.merges, lambda: self._repair(pin))
            return

    def _repair(self, pin: Pin) -> None:
        try:
            self._rebuild(pin, lambda _done, _total: None)
        except Exception:
            if not self._closed:
                log.warning("rebuild failed; the next start retries it", folder=str(self._folder), exc_info=True)

    def _problem(self, record: SegmentRecord) -> str | None:
        """Return what is wrong with a segment's files; None if nothing is, or the index is closed."""
        for file in record.files:
            if self._closed:
                return None
            try:
                problem = file.problem(self._folder / SEGMENTS_FOLDER / record.name)
            except OSError as error:
                if lacks_handles(error):
                    raise
                problem = str(error)
            if problem:
                return problem
        return None

    def _in_background(self, *, forced: bool) -> None:
        try:
            if forced:
                self._fold_all(lambda _done, _total: None)
            elif (chosen := plan(self._published.newest, self._thresholds)) is not None:
                self._merge(chosen, lambda _: None)
        except Exception as error:  # noqa: BLE001 — whatever the error, a later commit retries
            self._not_before = time.monotonic() + _RETRY_SECONDS
            if not self._closed:
                self._background.merging.failed(error, str(self._folder), event="merge failed")
        else:
            self._background.merging.succeeded(str(self._folder))
        finally:
            self._queued = False
        self.start_if_due()

    def _check_open(self) -> None:
        """Check that the index has not been closed.

        Raises:
            BuildStopped: it has; its folder may be gone, or belong to another index with the same name.
        """
        if self._closed:
            raise BuildStopped("The index was closed while its rows were being merged.")

    def _merge(self, chosen: Plan, progress: Callable[[int], None]) -> None:
        self._check_open()
        started = time.monotonic()
        added = []
        with metrics.merging(lambda: self._closed), storage_errors(self._folder):
            if chosen.row_count:
                added = [write_segment(self._folder, self._kind, self._engine, chosen.parts, progress)]
            folded = {segment.name for segment in chosen.segments}
            kept = tuple(record for record in self._manifest.segments if record.name not in folded)
            manifest = replace(self._manifest, segments=(*kept, *added))
            opened = [open_segment(self._folder, record, self._engine) for record in added]
            with self._commit_lock:
                self._check_open()
                manifest.write(self._folder)
                self._manifest = manifest
            self._published.update(lambda current: _swapped(current, chosen, opened))
            self._published.forget_older()
            self._damage.repaired(Repair.MERGE if chosen.stored is None else Repair.REBUILD)
            for name in folded:
                remove_folder(self._folder / SEGMENTS_FOLDER / name)
        log.info(
            "merged",
            folder=str(self._folder),
            rows=chosen.row_count,
            folded_segments=len(folded),
            seconds=round(time.monotonic() - started, 2),
        )


def _swapped(current: Snapshot, chosen: Plan, opened: Sequence[Segment]) -> Snapshot:
    """Return the snapshot with the folded rows replaced by the new segment; mask rows deleted since."""
    now = {segment.name: segment for segment in current.segments}
    live_count = len(chosen.before.live.rows)
    dead = np.concatenate(
        [
            *(segment.rows[segment.alive & ~now[segment.name].alive] for segment in chosen.segments),
            current.live.rows[:live_count][chosen.before.live.alive & ~current.live.alive[:live_count]],
        ]
    )
    folded = {segment.name for segment in chosen.segments}
    return Snapshot(
        current.version,
        (
            *(segment for segment in current.segments if segment.name not in folded),
            *(replace(segment, alive=~segment.mask(dead)) for segment in opened),
        ),
        current.live.after(live_count),
    )
