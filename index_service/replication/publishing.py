"""Publishing all indexes of a catalog for read replicas.

A beat: 1. Number it. 2. Take the list of indexes and aliases. 3. Send what each index lacks. 4. Send the root. 5. Check
that no later writer publishes here. 6. Replace the head: the commit point. So a head confirms whatever was acknowledged
before its beat began. A failed beat changes nothing for readers, and the next one makes up for it.

Beats run on a thread of their own, and long work on another (`IndexPublication.upkeep`); commits, searches and merges
wait for neither.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

import structlog
from pydantic import BaseModel

from index_service.descriptions import DamagedIndex
from index_service.errors import IndexNotFound
from index_service.local.catalog import Catalog
from index_service.local.vector_index import VectorIndex
from index_service.replication.errors import NotTheWriter, PlaceDamaged, ReplicationError
from index_service.replication.index_publication import IndexPublication
from index_service.replication.metrics import PUBLISH_SECONDS
from index_service.replication.place import Place
from index_service.replication.records import (
    FORMAT_VERSION,
    Base,
    Beat,
    Blob,
    Entry,
    Head,
    Manifest,
    PublishedSegment,
    Root,
)
from serving.background import WorkHealth
from serving.object_store import ObjectMissing, StoreUnavailable

Work: TypeAlias = Callable[[], None]
R = TypeVar("R", bound=BaseModel)

# How often unused objects are looked for.
_SURVEY_SECONDS = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Terms:
    """How to publish: seconds between beats, and for how long unused objects are kept."""

    interval_seconds: float = 1.0
    grace_seconds: float = 600.0


class Publisher:
    """Publishes the indexes of a catalog."""

    def __init__(self, place: Place, catalog: Catalog, address: str, terms: Terms) -> None:
        """Publish as the writer that is called at `address`."""
        self.health = WorkHealth("publishing")
        self._place = place
        self._catalog = catalog
        self._address = address
        self._terms = terms
        self._beat: Beat | None = None
        self._stored = 0
        self._is_replaced = False
        self._before: dict[str, Entry] = {}
        # By name.
        self._publications: dict[str, IndexPublication] = {}
        self._manifests: dict[str, tuple[Manifest, Blob]] = {}
        self._root: Blob | None = None
        self._lock = threading.Lock()
        self._next_survey = 0.0

    @property
    def newest(self) -> Beat | None:
        """The last beat that began; None before the first."""
        return self._beat

    def covering_beat(self) -> Beat | None:
        """Return a beat that covers all writes acknowledged by now; None before the first beat."""
        beat = self._beat
        return None if beat is None else beat._replace(number=beat.number + 1)

    def beat(self) -> None:
        """Publish everything that was acknowledged before this call.

        Raises:
            StoreUnavailable: the object store does not answer.
            NotTheWriter: a later writer publishes.
            StoreDamaged: a store cannot be read.
        """
        started = time.monotonic()
        if self._beat is None:
            self._begin()
        assert self._beat is not None  # noqa: S101 — `_begin` sets it
        if self._is_replaced:
            self._check_writer(self._beat)
        beat = self._beat = self._beat._replace(number=self._beat.number + 1)
        indexes, aliases = self._catalog.everything()
        entries = tuple(entry for index in indexes if (entry := self._entry(index)) is not None)
        present = {index.definition.name for index in indexes if isinstance(index, VectorIndex)}
        with self._lock:
            self._publications = {name: each for name, each in self._publications.items() if name in present}
        self._manifests = {name: each for name, each in self._manifests.items() if name in present}
        root = self._place.put_record(Root(entries=entries, aliases=dict(sorted(aliases.items()))))
        self._check_writer(beat)
        self._place.write_head(
            Head(
                format_version=FORMAT_VERSION,
                beat=beat,
                after=self._stored,
                root=root,
                address=self._address,
                time=datetime.now(tz=UTC),
            )
        )
        self._stored = beat.number
        self._root = root
        self._before = {entry.name: entry for entry in entries}
        for publication in self._publications.values():
            publication.confirm()
        PUBLISH_SECONDS.set(time.monotonic() - started)

    def upkeep(self) -> None:
        """Do what takes longer than a beat should: bases, segments, larger changes, removal of unused objects.

        Raises:
            StoreUnavailable: the object store does not answer.
            NotTheWriter: a later writer publishes.
        """
        if self._beat is None or self._is_replaced:
            return
        with self._lock:
            publications = list(self._publications.values())
        for publication in publications:
            try:
                publication.upkeep()
            except (IndexNotFound, FileNotFoundError):
                continue  # the index was deleted, or a merge has replaced a segment: the next round sends the new one
        if time.monotonic() >= self._next_survey and self._root is not None:
            self._check_writer(self._beat)  # a later writer may use what this one does not
            self._place.remove_unused(self._used(), self._terms.grace_seconds)
            self._next_survey = time.monotonic() + min(_SURVEY_SECONDS, self._terms.grace_seconds)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Publish in the background while this block runs, and once more at its end."""
        stop = threading.Event()
        threads = [
            threading.Thread(target=self._keep, args=(work, about, stop), name=about)
            for work, about in ((self.beat, "beats"), (self.upkeep, "upkeep"))
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            self._attempt(self.beat, "beats")

    def _keep(self, work: Work, about: str, stop: threading.Event) -> None:
        due = time.monotonic()
        while not stop.is_set():
            self._attempt(work, about)
            due = max(due + self._terms.interval_seconds, time.monotonic())
            stop.wait(due - time.monotonic())

    def _attempt(self, work: Work, about: str) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 — whatever the error, the next attempt tries again
            self.health.failed(error, about, expected=isinstance(error, StoreUnavailable | ReplicationError))
        else:
            self.health.succeeded(about)

    def _check_writer(self, beat: Beat) -> None:
        """Check that no later writer has begun; if one has, this one sends and removes nothing more."""
        head = self._place.head()
        self._is_replaced = head is not None and head.beat.is_of_later_writer(beat)
        if head is not None and self._is_replaced:
            raise NotTheWriter(head.address)

    def _begin(self) -> None:
        """Begin a term, and continue from what the writer before published."""
        self._place.survey()
        head = self._place.head()
        if head is not None:
            root = self._recorded(Root, head.root)
            self._before = {} if root is None else {entry.name: entry for entry in root.entries}
        # The time is for a place that was emptied: replicas know the terms of the one before.
        term = max(int(time.time()), head.beat.term + 1 if head else 0)
        self._beat = Beat(term, secrets.token_hex(8), 0)
        log.info("publishing", term=self._beat.term, indexes=len(self._before))

    def _recorded(self, kind: type[R], blob: Blob) -> R | None:
        """Return a published record; None if it is lost, because everything can be published anew."""
        try:
            return self._place.get_record(kind, blob)
        except (ObjectMissing, PlaceDamaged) as error:
            log.warning("a published record is lost", problem=str(error))
            return None

    def _entry(self, index: VectorIndex | DamagedIndex) -> Entry | None:
        """Return an index's entry in the root; None if nothing of it is published yet."""
        if isinstance(index, DamagedIndex):
            return self._before.get(index.name)  # replicas keep what they have
        try:
            publication = self._publication(index)
            manifest = publication.step()
        except IndexNotFound:
            return None  # deleted meanwhile
        if manifest is None:
            return None
        known = self._manifests.get(manifest.name)
        if known is None or known[0] is not manifest:
            known = self._manifests[manifest.name] = manifest, self._place.put_record(manifest)
        return Entry(name=manifest.name, lineage=manifest.lineage, version=manifest.at.version, manifest=known[1])

    def _publication(self, index: VectorIndex) -> IndexPublication:
        name = index.definition.name
        found = self._publications.get(name)
        if found is None or found.index is not index:  # the name of a deleted index may be used again
            before = self._before.get(name)
            published = None if before is None else self._recorded(Manifest, before.manifest)
            found = IndexPublication(self._place, index, published)
            with self._lock:
                self._publications[name] = found
        return found

    def _used(self) -> Iterator[str]:
        with self._lock:
            publications = dict(self._publications)
        if self._root is not None:
            yield self._root.sha256
        for _, blob in list(self._manifests.values()):
            yield blob.sha256
        for publication in publications.values():
            yield from publication.used()
        for entry in list(self._before.values()):
            yield entry.manifest.sha256
            if entry.name not in publications:  # a damaged index, of which replicas keep the last state
                yield from self._reached(entry)

    def _reached(self, entry: Entry) -> Iterator[str]:
        manifest = self._place.get_record(Manifest, entry.manifest)
        yield from (blob.sha256 for blob in manifest.blobs())
        yield from (blob.sha256 for blob in self._place.get_record(Base, manifest.base).store.pieces)
        for segment in manifest.segments:
            yield from (blob.sha256 for blob in self._place.get_record(PublishedSegment, segment).blobs())
