"""Following what a writer publishes, and serving it.

A poll: 1. Read the head. 2. If its root is new, read the root, and for each index that differs: fetch the base if there
is no local copy that the published changes lead on from, apply the changes, and adopt the segments if they are here.
3. Show all indexes and aliases at once. 4. Note what is shown in `state.json`.

The segments of an index that is already served are fetched beside the polls, because they are large. Until they are
here, their rows are live or in the segments before. All local files are a cache: they survive a restart, and what is
damaged is fetched again.
"""

from __future__ import annotations

import asyncio
import fcntl
import secrets
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog
from pydantic import BaseModel, ValidationError

from index_service.definition import IndexDefinition
from index_service.engines.contract import Engine
from index_service.errors import DataFolderInUse, IndexServiceError, StorageFull
from index_service.local.connections import IdleConnections
from index_service.local.store import check_sqlite
from index_service.replication.clock import Sightings, now
from index_service.replication.errors import EarlierWriter, NothingPublished, PlaceDamaged, ReplicationError
from index_service.replication.fetching import fetch_base
from index_service.replication.metrics import AGE_SECONDS, REFETCHED
from index_service.replication.place import Place
from index_service.replication.records import Base, Beat, Blob, Change, Head, Manifest, Root
from index_service.replication.replica_catalog import ReplicaCatalog
from index_service.replication.replica_index import ReplicaIndex
from index_service.replication.segment_fetcher import SegmentFetcher
from index_service.storage import storage_errors
from serving.background import WorkHealth
from serving.durable_files import remove_folder, remove_leftovers, write_file
from serving.object_store import ObjectMissing, StoreUnavailable

LOCK_FILE = ".lock"
STATE_FILE = "state.json"
# An age passes its limit without an event.
_WATCH_SECONDS = 0.2

log = structlog.get_logger(__name__)

EngineFactory = Callable[[IndexDefinition], Engine]


class _State(BaseModel):
    """What a replica showed last: the beat, the writer's address, the aliases, and the folder of each index."""

    beat: Beat
    writer: str
    aliases: dict[str, str]
    folders: dict[str, str]


class Follower:
    """Keeps a catalog up to date with a place."""

    def __init__(self, place: Place, folder: Path, engine: EngineFactory) -> None:
        """Show what `folder` has from earlier; indexes that cannot be opened are fetched again."""
        self.catalog = ReplicaCatalog()
        self.health = WorkHealth("following")
        self._place = place
        self._folder = folder
        self._engine = engine
        self._idle = IdleConnections()
        self._sightings = Sightings()
        self._indexes: dict[str, ReplicaIndex] = {}
        self._manifests: dict[str, Blob] = {}
        self._segments = SegmentFetcher(place)
        self._beat: Beat | None = None
        self._root: Blob | None = None
        # The moment at which what is shown lacked nothing, by `clock.now`.
        self._held_at: float | None = None
        remove_leftovers(folder)
        self._restore()

    @property
    def beat(self) -> Beat | None:
        """The beat whose state is shown; None if there is none."""
        return self._beat

    @property
    def is_waiting(self) -> bool:
        """Whether some index waits for segments."""
        return self._segments.are_waiting

    @property
    def age_seconds(self) -> float | None:
        """How long ago at most something was acknowledged that is not shown; None if that is not known."""
        held_at = self._held_at
        return None if held_at is None else now() - held_at

    def is_fresh(self, limit_seconds: float) -> bool:
        """Return whether there is anything to show, and it is at most so old; 0 means of any age."""
        age = self.age_seconds
        return self._beat is not None and (not limit_seconds or (age is not None and age <= limit_seconds))

    async def watch(self, limit_seconds: float) -> AsyncIterator[bool]:
        """Yield whether it `is_fresh`, now and after each change."""
        last: bool | None = None
        while True:
            if (fresh := self.is_fresh(limit_seconds)) != last:
                last = fresh
                yield fresh
            await asyncio.sleep(_WATCH_SECONDS)

    def poll(self) -> None:
        """Bring everything up to date once.

        Raises:
            NothingPublished: there is no head.
            ObjectMissing, StoreUnavailable, PlaceDamaged, PlaceTooNew: something cannot be fetched; the next poll
                continues.
            StorageFull: something cannot be written.
        """
        requested = now()
        head = self._place.head()
        if head is None:
            raise NothingPublished
        if self._beat is not None and head.beat < self._beat:
            raise EarlierWriter(head.address)
        self._sightings.add(head.beat, requested)
        if head.root != self._root or self._segments.are_waiting:
            self._follow(head)
        self._beat = head.beat
        held_at = self._sightings.held_at(head)
        if held_at is not None:
            self._held_at = held_at if self._held_at is None else max(held_at, self._held_at)

    @contextmanager
    def running(self, poll_seconds: float) -> Iterator[None]:
        """Follow in the background while this block runs."""
        AGE_SECONDS.set_function(lambda: -1.0 if (age := self.age_seconds) is None else age)
        stop = threading.Event()
        thread = threading.Thread(target=self._keep, args=(poll_seconds, stop), name="following")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def close(self) -> None:
        """Close all indexes."""
        self._segments.close()
        for index in self._indexes.values():
            index.close()

    def _keep(self, poll_seconds: float, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.poll()
            except Exception as error:  # noqa: BLE001 — whatever the error, the next poll tries again
                expected = isinstance(error, ReplicationError | StorageFull | StoreUnavailable | ObjectMissing)
                self.health.failed(error, expected=expected)
            else:
                self.health.succeeded()
            stop.wait(poll_seconds)

    def _follow(self, head: Head) -> None:
        root = self._place.get_record(Root, head.root)
        for entry in root.entries:
            if self._manifests.get(entry.name) != entry.manifest or self._segments.is_waiting(entry.name):
                self._update(self._place.get_record(Manifest, entry.manifest))
                self._manifests[entry.name] = entry.manifest
        shown = {entry.name: self._indexes[entry.name] for entry in root.entries}
        before = self.catalog.show(shown, root.aliases, head.address)
        self._indexes = shown
        self._root = head.root
        state = _State(
            beat=head.beat,
            writer=head.address,
            aliases=dict(root.aliases),
            folders={name: index.folder.name for name, index in shown.items()},
        )
        with storage_errors(self._folder):
            write_file(self._folder / STATE_FILE, state.model_dump_json().encode())
        for index in before:
            if not self.catalog.has(index):
                index.close()
        self._segments.forget_others(shown)
        self._remove_others()

    def _update(self, manifest: Manifest) -> None:
        """Bring an index to the state of a manifest."""
        index = self._indexes.get(manifest.name)
        changes: Sequence[Change] | None = None
        if index is not None and _lineage(index.folder) == manifest.lineage and not self._segments.drop_damaged(index):
            changes = _path(index.version, manifest)
        if index is None or changes is None:
            index, changes = self._fetch(manifest)
            self._indexes[manifest.name] = index
        for change in changes:
            index.apply(change, self._place)
        self._segments.bring(index, manifest, self.catalog.has(index))

    def _fetch(self, manifest: Manifest) -> tuple[ReplicaIndex, Sequence[Change]]:
        """Fetch the base of an index, and open it; return the changes that follow too."""
        changes = _path(manifest.base_at.version, manifest)
        if changes is None:
            raise PlaceDamaged(f'The published changes of index "{manifest.name}" do not lead on from its base.')
        # Another copy may be in use meanwhile.
        folder = self._folder / f"{manifest.lineage}-{secrets.token_hex(4)}"
        fetch_base(self._place, self._place.get_record(Base, manifest.base), folder)
        log.info("base fetched", index=manifest.name, version=manifest.base_at.version)
        return ReplicaIndex(folder, self._engine, self._idle), changes

    def _restore(self) -> None:
        """Show what was shown last, as far as it can be opened."""
        try:
            state = _State.model_validate_json((self._folder / STATE_FILE).read_bytes())
        except (FileNotFoundError, ValidationError):
            return
        for name, folder in state.folders.items():
            try:
                self._indexes[name] = ReplicaIndex(self._folder / folder, self._engine, self._idle)
            except (IndexServiceError, OSError, sqlite3.Error) as error:
                log.warning("local copy unusable; it will be fetched again", index=name, problem=str(error))
                REFETCHED.inc()
            else:
                self._segments.verify(self._indexes[name])
        self.catalog.show(self._indexes, state.aliases, state.writer)
        self._beat = state.beat

    def _remove_others(self) -> None:
        """Remove the folders of indexes that are not shown."""
        kept = {index.folder.name for index in self._indexes.values()}
        for folder in self._folder.iterdir():
            if folder.is_dir() and folder.name not in kept:
                remove_folder(folder)


def _lineage(folder: Path) -> str:
    return folder.name.partition("-")[0]


def _path(version: int, manifest: Manifest) -> list[Change] | None:
    """Return the changes that lead from a version to that of a manifest; None if there are none."""
    path: list[Change] = []
    while version < manifest.at.version:
        next_ones = [change for change in manifest.changes if change.after.version <= version < change.to.version]
        if not next_ones:
            return None
        # The farthest, and of these the smallest.
        path.append(max(next_ones, key=lambda change: (change.to.version, change.after.version)))
        version = path[-1].to.version
    return path if version == manifest.at.version else None


@contextmanager
def open_follower(place: Place, folder: Path, engine: EngineFactory) -> Iterator[Follower]:
    """Open a replica's folder, creating it if needed, and close it at the end.

    Raises:
        DataFolderInUse: another process has it open.
        StorageFull: it cannot be written.
    """
    check_sqlite()
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK_FILE).open("ab")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataFolderInUse(folder) from error
        follower = Follower(place, folder, engine)
        try:
            yield follower
        finally:
            follower.close()
