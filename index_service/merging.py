"""Merges: live rows and the dead rows of old segments are folded into a new segment, while searches and writes go on.

1. What to fold is chosen from a snapshot (`merge_plan`).
2. The rows alive in it are written as a new segment, synced and renamed.
3. The manifest names the new segment in place of those it replaces: the commit point.
4. The new snapshot is published; what was deleted meanwhile is masked in it, what was added meanwhile stays live.
5. The folders of the old segments are removed; their mapped files live on until the last search that uses them ends.

Stopped before 3, nothing has happened, and the next start removes what was written; stopped after it, the next start
finds the new segment. The store is not touched: a merge can lose nothing.
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

from index_service.background import Background, log_failure, start, submit_after
from index_service.definition import EngineKind
from index_service.engines.contract import Engine
from index_service.errors import BuildFailed
from index_service.manifest import Manifest, SegmentRecord
from index_service.merge_plan import Plan, Thresholds, plan, plan_all
from index_service.reads import StoreReader
from index_service.segments import SEGMENTS_FOLDER, open_segment, stored_part, write_segment
from index_service.snapshot import Published, Segment, Snapshot
from index_service.storage import lacks_handles, storage_errors
from serving.durable_files import remove_folder

Progress = Callable[[int, int], None]
# Yields a reading transaction of the store and the snapshot of the same version.
Pin = Callable[[], AbstractContextManager[tuple[StoreReader, Snapshot]]]

log = structlog.get_logger(__name__)

# After a merge that failed, so that a full disk is not written to again and again.
_RETRY_SECONDS = 60.0
# Live rows lie in memory; beyond so much they are folded even while many are being written.
_MOST_HELD_BYTES = 2**29


class Merger:
    """Merges of one index, one at a time, on the thread for merges."""

    def __init__(
        self,
        folder: Path,
        kind: EngineKind,
        engine: Engine,
        manifest: Manifest,
        published: Published,
        thresholds: Thresholds,
        background: Background,
    ) -> None:
        self._folder = folder
        self._kind = kind
        self._engine = engine
        self._manifest = manifest
        self._published = published
        self._thresholds = thresholds
        self._background = background
        self._verified: Future[None] = Future()
        self._verified.set_result(None)
        self._lock = threading.Lock()
        # Apart, so that a commit that asks for a merge does not wait for a manifest to be synced.
        self._commit_lock = threading.Lock()
        self._queued = False
        self._holding = 0
        self._closed = False
        self._not_before = 0.0

    def consider(self, *, anyway: bool = False) -> None:
        """Start a merge in the background if one is due and none is waiting; cheap enough for every commit."""
        with self._lock:
            if self._queued or self._closed or time.monotonic() < self._not_before:
                return
            if self._holding and not anyway and self._published.newest.live.vectors.nbytes < _MOST_HELD_BYTES:
                return
            if not anyway and plan(self._published.newest, self._thresholds) is None:
                return
            self._queued = True
        log_failure(self._once_verified(lambda: self._in_background(anyway=anyway)))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Start no merge in this block unless live rows fill the memory, and consider one at the end.

        Rows that are written at once would be folded again and again: 400,000 of them in five merges, the last of which
        does the work of all.
        """
        with self._lock:
            self._holding += 1
        try:
            yield
        finally:
            with self._lock:
                self._holding -= 1
            self.consider()

    def fold_all(self, progress: Progress) -> Future[None]:
        """Fold everything into one segment; `progress` is called with the rows that are done and all rows.

        The future raises BuildFailed or StorageFull where that was not possible; nothing has changed then.
        """
        return self._once_verified(lambda: self._fold_all(progress))

    def rebuild(self, pin: Pin, progress: Progress) -> Future[None]:
        """Write everything into one segment from the store, whatever the old ones hold; else as `fold_all`."""
        return self._background.merges.submit(self._rebuild, pin, progress)

    def verify(self, records: Sequence[SegmentRecord], pin: Pin, tell: Callable[[str], None]) -> None:
        """Hash the files of segments in the background; if one is damaged, report it and rebuild everything.

        Until that is done they are not folded: a damaged vector would get a checksum that says it is sound.
        """
        if records:
            self._verified = self._background.checks.submit(self._verify, records, pin, tell)
            log_failure(self._verified)

    @property
    def manifest(self) -> Manifest:
        """The manifest in use, which is the one on disk."""
        with self._commit_lock:
            return self._manifest

    def close(self) -> None:
        """End a merge that is under way; none commits any more."""
        with self._commit_lock:
            self._closed = True
        self._engine.stop()
        self._background.merging.succeeded(str(self._folder))  # none is due any more

    def _once_verified(self, work: Callable[[], None]) -> Future[None]:
        return submit_after(self._verified, self._background.merges, work)

    def _fold_all(self, progress: Progress) -> None:
        self._check_open()
        chosen = plan_all(self._published.newest)
        total = self._published.newest.alive_count if chosen is None else chosen.row_count
        progress(0, total)
        if chosen is not None:
            self._merge(chosen, lambda done: progress(done, total))
        progress(total, total)

    def _rebuild(self, pin: Pin, progress: Progress) -> None:
        with pin() as (reader, before):
            stored = stored_part(reader)
        total = len(stored.rows)
        progress(0, total)
        self._merge(Plan(before, before.segments, stored), lambda done: progress(done, total))
        progress(total, total)

    def _verify(self, records: Sequence[SegmentRecord], pin: Pin, tell: Callable[[str], None]) -> None:
        for record in records:
            problem = self._damage(record)
            if problem is None or self._closed or record not in self.manifest.segments:
                continue
            repair = f"segment {record.name}: {problem}; all rows are built again"
            log.warning("damage found", folder=str(self._folder), problem=repair)
            tell(repair)
            start(self._background.merges, lambda: self._repair(pin))
            return

    def _repair(self, pin: Pin) -> None:
        try:
            self._rebuild(pin, lambda _done, _total: None)
        except Exception:
            if not self._closed:
                log.warning("rebuild failed; the next start tries again", folder=str(self._folder), exc_info=True)

    def _damage(self, record: SegmentRecord) -> str | None:
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

    def _in_background(self, *, anyway: bool) -> None:
        try:
            newest = self._published.newest
            chosen = plan_all(newest) if anyway else plan(newest, self._thresholds)
            if chosen is not None:
                self._merge(chosen, lambda _: None)
        except Exception as error:  # noqa: BLE001 — whatever it is, the next commit tries again
            self._not_before = time.monotonic() + _RETRY_SECONDS
            if not self._closed:
                self._background.merging.failed(error, str(self._folder), event="merge failed")
        else:
            self._background.merging.succeeded(str(self._folder))
        finally:
            self._queued = False
        self.consider()

    def _check_open(self) -> None:
        """Check that the index was not closed meanwhile.

        Raises:
            BuildFailed: it was; its folder may be gone, or belong to another index of the same name.
        """
        if self._closed:
            raise BuildFailed("The index was closed while its rows were being merged.")

    def _merge(self, chosen: Plan, progress: Callable[[int], None]) -> None:
        self._check_open()
        started = time.monotonic()
        added = []
        with storage_errors(self._folder):
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
    """Replace rows by the new segment that was made from them; mask rows that were deleted since."""
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
