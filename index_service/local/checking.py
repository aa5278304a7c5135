"""Integrity checks of an index: all of its data, compared with its checksums and with the store.

The store is the source of truth and can only be checked against itself: by SQLite's own check, and by requiring a
vector of length 1 and canonical JSON attributes of each item. Segments and rows in memory are derived from it and must
match it to the bit. A check reads one version of everything and changes nothing; no search or write waits for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from index_service.attributes import is_canonical
from index_service.descriptions import STORE, CheckProgress, CheckReport, CheckStep, Damage
from index_service.errors import TooManyOpenFiles
from index_service.items import StoredRow
from index_service.local.manifest import Manifest, SegmentRecord, UnusableManifest
from index_service.local.reads import StoreReader
from index_service.local.segments import SEGMENTS_FOLDER
from index_service.local.snapshot import Part, Rows, Segment, Snapshot
from index_service.storage import lacks_handles
from index_service.vectors import Mask, Vectors, not_of_length_1

_PAGE_ROWS = 4_096
MANIFEST = "manifest"
MEMORY = "rows in memory"


def check(
    folder: Path, reader: StoreReader, snapshot: Snapshot, manifest: Callable[[], Manifest]
) -> Generator[CheckStep, None, None]:
    """Yield progress, and finally the report.

    Args:
        folder: the index's folder.
        reader: a reading transaction of its store.
        snapshot: the rows of the same version.
        manifest: returns the manifest in use, which a merge may replace at any time.
    """
    yield CheckProgress(0, snapshot.alive_count)
    damages = list(_file_damages(folder, manifest))
    unsound = {damage.part for damage in damages}
    # Reading the missing part of a mapped file would kill the process.
    tally = _Tally([part for part in snapshot.parts if _name(part) not in unsound])
    done = 0
    try:
        damages += [Damage(STORE, f"SQLite: {report}", False) for report in reader.quick_check()]
        last = 0
        while page := reader.stored_rows(last, _PAGE_ROWS):
            last = page[-1].row
            done += len(page)
            tally.add(page, snapshot)
            yield CheckProgress(done, max(done, snapshot.alive_count))
        if strays := reader.stray_vector_count():
            damages.append(Damage(STORE, f"vectors without an item: {strays}", False))
        damages += tally.damages(snapshot)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise  # the caller has left; that is no damage
        damages.append(Damage(STORE, f"SQLite: {error}", False))
    yield CheckReport(tuple(damages), done, len(snapshot.segments))


@dataclass
class _Tally:
    """Counts damaged items by kind of damage, and names the first of each kind."""

    compared: Sequence[Part]
    _found: dict[tuple[str, str, bool], list[str]] = field(default_factory=dict)
    _counts: dict[tuple[str, str, bool], int] = field(default_factory=dict)
    _in_memory: int = 0

    def add(self, page: Sequence[StoredRow], snapshot: Snapshot) -> None:
        """Check rows of the store, and the data derived from them."""
        dimension = snapshot.live.vectors.shape[1]
        sized = [row for row in page if len(row.vector) == 4 * dimension]
        ids = np.array([row.id for row in sized], dtype=object)
        vectors = np.frombuffer(b"".join(row.vector for row in sized), dtype="<f4").reshape(-1, dimension)
        self._count(
            STORE, "items without a vector of the right size", [r.id for r in page if len(r.vector) != 4 * dimension]
        )
        self._count(STORE, "items whose vector is not of length 1", ids[not_of_length_1(vectors)])
        self._count(
            STORE, "items whose attributes cannot be read", [r.id for r in page if not is_canonical(r.attributes)]
        )
        rows = np.array([row.row for row in sized], dtype=np.int64)
        for part in self.compared:
            here, same = _compare(part, rows, vectors)
            self._count(_name(part), "items whose vector differs from the store", ids[here][~same], repairs=True)
        every = np.array([row.row for row in page], dtype=np.int64)
        held = np.zeros(len(every), dtype=np.bool_)
        for part in snapshot.parts:
            held |= np.isin(every, part.rows[part.alive], assume_unique=True)
        self._in_memory += int(np.count_nonzero(held))
        missing = [row.id for row, found in zip(page, held.tolist(), strict=True) if not found]
        self._count(MEMORY, "items that searches cannot find", missing, repairs=True)

    def damages(self, snapshot: Snapshot) -> Iterator[Damage]:
        """Yield the damage found, after all rows of the store have been added."""
        for (part, problem, repairs), (first, *_) in self._found.items():
            count = self._counts[part, problem, repairs]
            yield Damage(part, f'{problem}: {count}, first "{first}"', repairs)
        if strays := snapshot.alive_count - self._in_memory:
            yield Damage(MEMORY, f"rows that the store does not have: {strays}", True)

    def _count(self, part: str, problem: str, ids: Iterable[str], *, repairs: bool = False) -> None:
        found = list(ids)
        if found:
            key = (part, problem, repairs)
            self._counts[key] = self._counts.get(key, 0) + len(found)
            self._found.setdefault(key, found[:1])


def _compare(part: Part, rows: Rows, vectors: Vectors) -> tuple[Mask, Mask]:
    """Mark which of `rows` (n,) are in a part, and which of those have the same vector there as in `vectors`."""
    if not len(part.rows):
        return np.zeros(len(rows), dtype=np.bool_), np.empty(0, dtype=np.bool_)
    at = np.minimum(np.searchsorted(part.rows, rows), len(part.rows) - 1)
    here = part.rows[at] == rows
    same: Mask = (part.vectors[at[here]].view(np.uint32) == vectors[here].view(np.uint32)).all(axis=1)
    return here, same


def _name(part: Part) -> str:
    return part.name if isinstance(part, Segment) else MEMORY


def _file_damages(folder: Path, manifest: Callable[[], Manifest]) -> Iterator[Damage]:
    if problem := _manifest_problem(folder, manifest):
        yield Damage(MANIFEST, problem, True)
    for record in manifest().segments:
        segment_problem = _segment_problem(folder, record)
        # A merge that ended during the check has removed the segments that it folded.
        if segment_problem and record in manifest().segments:
            yield Damage(record.name, segment_problem, True)


def _manifest_problem(folder: Path, manifest: Callable[[], Manifest]) -> str | None:
    before = manifest()
    try:
        found = Manifest.read(folder)
    except (UnusableManifest, OSError) as error:
        return _message(error, folder)
    if found is None:
        return "it is missing"
    return None if found in (before, manifest()) else "the segments it names are not those in use"


def _segment_problem(folder: Path, record: SegmentRecord) -> str | None:
    try:
        return record.problem(folder / SEGMENTS_FOLDER / record.name)
    except OSError as error:
        return _message(error, folder)


def _message(error: Exception, folder: Path) -> str:
    if lacks_handles(error):
        raise TooManyOpenFiles(folder) from error
    return str(error)
