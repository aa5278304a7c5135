"""Remembers which files of an ingest are done, in one SQLite file.

Contract: a listing is recorded completely or not at all. A shard is done once its row says so (committed and synced);
a shard that is not is sent again, which changes nothing for images that were stored, because their ids follow from
their bytes. A file is listed once for each version of it; a file that failed is listed again. One process writes at a
time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from semsearch.errors import InvalidRequest
from semsearch.ingest.places import ListedFile

FILES_A_SHARD = 256
_FORMAT = 1
_TABLES = """
    CREATE TABLE job (place TEXT NOT NULL, collection TEXT NOT NULL);
    CREATE TABLE files (
        path TEXT PRIMARY KEY, version TEXT NOT NULL, modified_ns INTEGER, shard INTEGER NOT NULL, problem TEXT
    ) WITHOUT ROWID;
    CREATE INDEX files_by_shard ON files (shard);
    CREATE TABLE shards (
        number INTEGER PRIMARY KEY, files INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0,
        added INTEGER NOT NULL DEFAULT 0, present INTEGER NOT NULL DEFAULT 0
    );
"""
# A file is listed again if it has changed.
_LIST = """
    INSERT INTO files VALUES (:path, :version, :modified_ns, :shard, :problem)
    ON CONFLICT (path) DO UPDATE
        SET version = excluded.version, modified_ns = excluded.modified_ns, shard = excluded.shard,
            problem = excluded.problem
        WHERE version <> excluded.version
"""


@dataclass(frozen=True)
class ShardOutcome:
    """What became of a shard's files; `problems` says of each path that was not stored why."""

    shard: int
    added: int
    present: int
    problems: Mapping[str, str]


@dataclass(frozen=True)
class Counts:
    """Numbers of files; those of the last listing that are not done, and the outcomes of all that are."""

    left: int
    added: int
    present: int
    failed: int


class Manifest:
    """An open manifest; a context manager."""

    def __init__(self, file: Path, place: str, collection: str) -> None:
        """Open or create it.

        Raises:
            InvalidRequest: it is another job's, another process is using it, or it cannot be written.
        """
        self.file = file
        self._lock = FileLock(f"{file}.lock")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise InvalidRequest(
                f"Another process is using the manifest {file}.", hint="Wait for it to end."
            ) from error
        except OSError as error:
            raise InvalidRequest(f"The manifest {file} cannot be written: {error.strerror}.") from error
        try:
            self._database = sqlite3.connect(file, isolation_level=None)
        except sqlite3.DatabaseError as error:
            self._lock.release()
            raise InvalidRequest(f"The manifest {file} cannot be opened: {error}.") from error
        try:
            self._open(place, collection)
        except sqlite3.DatabaseError as error:
            self.close()
            raise InvalidRequest(f"{file} is not a manifest: {error}.", hint="Name another file.") from error
        except BaseException:
            self.close()
            raise

    def _open(self, place: str, collection: str) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        if not self._database.execute("PRAGMA user_version").fetchone()[0]:
            self._create(place, collection)
        job = self._database.execute("SELECT place, collection FROM job").fetchone()
        if job != (place, collection):
            raise InvalidRequest(
                f"The manifest {self.file} is for {job[0]} into {job[1]}, not for {place} into {collection}.",
                hint="Name another file with --manifest.",
            )

    def _create(self, place: str, collection: str) -> None:
        """Create the tables and the job in one transaction: a process that dies here leaves an empty file."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            for statement in _TABLES.split(";"):
                self._database.execute(statement)
            self._database.execute("INSERT INTO job VALUES (?, ?)", (place, collection))
            self._database.execute(f"PRAGMA user_version = {_FORMAT}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._database.close()
        self._lock.release()

    def list_files(self, files: Iterable[ListedFile], files_a_shard: int = FILES_A_SHARD) -> int:
        """Record the files that are new, changed, or failed before, as new shards; return their number."""
        first = shard = self._database.execute("SELECT coalesce(max(number) + 1, 0) FROM shards").fetchone()[0]
        listed = 0
        self._database.execute("BEGIN IMMEDIATE")
        try:
            # Files that failed are listed again, unless they are gone.
            self._database.execute("DELETE FROM files WHERE problem IS NOT NULL")
            for file in files:
                shard = first + listed // files_a_shard
                row = {**vars(file), "shard": -1 if file.problem else shard, "problem": file.problem or None}
                changed = self._database.execute(_LIST, row).rowcount
                listed += changed if not file.problem else 0
            self._database.execute(
                "INSERT INTO shards (number, files) SELECT shard, count(*) FROM files WHERE shard >= ? GROUP BY shard",
                (first,),
            )
            self._database.execute("COMMIT")
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        return listed

    def record(self, outcome: ShardOutcome) -> None:
        """Record that a shard is done; on disk when it returns."""
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(
            "UPDATE files SET problem = ? WHERE path = ?", [(why, path) for path, why in outcome.problems.items()]
        )
        self._database.execute(
            "UPDATE shards SET done = 1, added = ?, present = ? WHERE number = ?",
            (outcome.added, outcome.present, outcome.shard),
        )
        self._database.execute("COMMIT")

    def counts(self) -> Counts:
        """Return the numbers of files."""
        sums = "SELECT total(files * (1 - done)), total(added), total(present) FROM shards"
        left, added, present = map(int, self._database.execute(sums).fetchone())
        failed = self._database.execute("SELECT count(*) FROM files WHERE problem IS NOT NULL").fetchone()[0]
        return Counts(left, added, present, failed)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield the paths that could not be stored, and why."""
        yield from self._database.execute("SELECT path, problem FROM files WHERE problem IS NOT NULL ORDER BY path")


def open_shards(file: Path) -> Iterator[tuple[int, list[ListedFile]]]:
    """Yield the shards of a manifest that were not done when the iteration began; another process may be writing."""
    with closing(sqlite3.connect(f"file:{file.absolute()}?mode=ro", uri=True)) as database:
        numbers = database.execute("SELECT number FROM shards WHERE done = 0 ORDER BY number").fetchall()
        for (number,) in numbers:
            rows = database.execute(
                "SELECT path, version, modified_ns FROM files WHERE shard = ? ORDER BY path", (number,)
            )
            yield number, [ListedFile(*row) for row in rows]
