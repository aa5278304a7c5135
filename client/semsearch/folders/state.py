"""The client's state about folders, in one SQLite file: hashes of files, names of roots, mounted disks.

None of it is authoritative. Without it, files are read again, and a name that is used twice goes unnoticed.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from platformdirs import user_state_path

from semsearch.errors import FolderStopped
from semsearch.folders.scan import Stamp

STATE_VARIABLE = "SEMSEARCH_CLIENT_STATE"
_FILE = "folders.sqlite3"
# A killed run may lose the hashes of this many files or seconds. Each costs one more read.
_HASHES_A_WRITE = 100
_SECONDS_A_WRITE = 1.0
_BUSY_SECONDS = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS hash (
    folder BLOB, path BLOB, size_bytes INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, sha256 BLOB,
    PRIMARY KEY (folder, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS root (
    server TEXT, collection TEXT, name TEXT, folder BLOB, PRIMARY KEY (server, collection, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mount (folder BLOB, path TEXT, PRIMARY KEY (folder, path)) WITHOUT ROWID;
"""


def default_state() -> Path:
    """Return the folder of the client's state."""
    chosen = os.environ.get(STATE_VARIABLE)
    return Path(chosen) if chosen else user_state_path("semsearch", appauthor=False)


class FolderState:
    """The state, in a folder of its own; safe to use from several threads and processes."""

    def __init__(self, folder: Path | None = None) -> None:
        """Open the state, or start again with an empty one if it is damaged.

        Raises:
            FolderStopped: It cannot be written.
        """
        self._folder = folder or default_state()
        self._guard = threading.Lock()
        # A transaction that waited for files would keep other processes waiting.
        self._unsaved: list[tuple[object, ...]] = []
        self._saved = time.monotonic()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._database = self._open()
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.save()
        self._database.close()

    def hash_of(self, folder: Path, path: str, stamp: Stamp) -> bytes | None:
        """Return the SHA-256 of a file that has not changed since it was remembered."""
        row = self._one(
            "SELECT sha256 FROM hash WHERE folder = ? AND path = ?"
            " AND size_bytes = ? AND mtime_ns = ? AND ctime_ns = ?",
            (os.fsencode(folder), path.encode(), stamp.size_bytes, stamp.mtime_ns, stamp.ctime_ns),
        )
        return row[0] if row else None

    def remember_hash(self, folder: Path, path: str, stamp: Stamp, sha256: bytes) -> None:
        """Remember a file's SHA-256."""
        values = (os.fsencode(folder), path.encode(), stamp.size_bytes, stamp.mtime_ns, stamp.ctime_ns, sha256)
        with self._guard:
            self._unsaved.append(values)
            if len(self._unsaved) >= _HASHES_A_WRITE or time.monotonic() > self._saved + _SECONDS_A_WRITE:
                self._save()

    def forget_hashes(self, folder: Path, keep: Callable[[str], bool]) -> None:
        """Forget the files of a folder for which `keep` returns False."""
        key = os.fsencode(folder)
        rows = self._all("SELECT path FROM hash WHERE folder = ?", key)
        gone = [(key, path) for (path,) in rows if not keep(path.decode())]
        if gone:
            self._write(("DELETE FROM hash WHERE folder = ? AND path = ?", gone))

    def folder_named(self, server: str, collection: str, name: str) -> Path | None:
        """Return the folder that a root's name stands for."""
        row = self._one(
            "SELECT folder FROM root WHERE server = ? AND collection = ? AND name = ?", (server, collection, name)
        )
        return Path(os.fsdecode(row[0])) if row else None

    def name_folder(self, server: str, collection: str, name: str, folder: Path) -> None:
        """Record that a root's name stands for a folder."""
        self._write(
            ("INSERT OR REPLACE INTO root VALUES (?, ?, ?, ?)", [(server, collection, name, os.fsencode(folder))])
        )

    def mounts_of(self, folder: Path) -> set[str]:
        """Return the paths below a folder where other disks were mounted."""
        return {path for (path,) in self._all("SELECT path FROM mount WHERE folder = ?", os.fsencode(folder))}

    def set_mounts(self, folder: Path, paths: Collection[str]) -> None:
        """Remember where other disks are mounted."""
        key = os.fsencode(folder)
        self._write(
            ("DELETE FROM mount WHERE folder = ?", [(key,)]),
            ("INSERT INTO mount VALUES (?, ?)", [(key, path) for path in paths]),
        )

    def save(self) -> None:
        """Write the unsaved hashes."""
        with self._guard:
            self._save()

    @contextmanager
    def lock(self, server: str, collection: str, name: str) -> Iterator[None]:
        """Lock a root against other processes; the system frees the lock however the process ends.

        Raises:
            FolderStopped: Another process works on it.
        """
        # It imports asyncio; commands that need no lock start faster without it.
        from filelock import FileLock, Timeout

        key = hashlib.sha256("\0".join((server, collection, name)).encode()).hexdigest()[:32]
        locks = self._folder / "locks"
        locks.mkdir(exist_ok=True)
        lock = FileLock(locks / f"{key}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise FolderStopped(
                f'Another semsearch is working on the root "{name}" of the collection {collection}.',
                "ROOT_IN_USE",
                "Wait for it to end, or stop it.",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _open(self) -> sqlite3.Connection:
        file = self._folder / _FILE
        try:
            return _connect(file)
        except sqlite3.DatabaseError as error:
            if isinstance(
                error, sqlite3.OperationalError
            ):  # locked, or the disk: trying again helps, deleting does not
                raise
            for part in ("", "-wal", "-shm"):
                Path(f"{file}{part}").unlink(missing_ok=True)
            return _connect(file)

    def _one(self, statement: str, values: tuple[object, ...]) -> tuple[bytes] | None:
        with self._guard:
            row: tuple[bytes] | None = self._database.execute(statement, values).fetchone()
            return row

    def _all(self, statement: str, folder: bytes) -> list[tuple[Any]]:
        with self._guard:
            return self._database.execute(statement, (folder,)).fetchall()

    def _write(self, *statements: tuple[str, Sequence[tuple[object, ...]]]) -> None:
        """Execute statements in one short transaction."""
        try:
            with self._guard, self._database:
                for statement, rows in statements:
                    self._database.executemany(statement, rows)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _save(self) -> None:
        rows, self._unsaved = self._unsaved, []
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO hash VALUES (?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.Error:
            pass  # these files will be read again
        self._saved = time.monotonic()

    def _unusable(self, error: Exception) -> FolderStopped:
        return FolderStopped(
            f"{self._folder}, where semsearch keeps the hashes of files, cannot be used: {error}.",
            "STATE_UNUSABLE",
            f"Set another folder with {STATE_VARIABLE}.",
        )


def _connect(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=_BUSY_SECONDS, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.executescript(_SCHEMA)
    return database
