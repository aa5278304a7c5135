"""All indexes of a data folder, by name and by alias.

An index is a folder with its name. It exists once its folder has been renamed to that name (`store.create`) and is gone
once the folder has been renamed away (`durable_files.remove_folder`): these two renames are the commit points of
creating and deleting. No separate list could disagree with the folders. One process at a time holds the data folder, by
a lock on a file; the system releases the lock when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from io import FileIO
from pathlib import Path

import structlog

from index_service.contract import Promise
from index_service.definition import NAME_PATTERN, EngineKind, IndexDefinition
from index_service.descriptions import DamagedIndex
from index_service.engines.contract import Engine
from index_service.errors import (
    DataFolderInUse,
    IndexExists,
    IndexInUse,
    IndexNotFound,
    IndexServiceError,
    OpeningFailed,
    StorageFull,
    StoreDamaged,
    TooManyOpenFiles,
)
from index_service.export_format import ExportHeader
from index_service.local.aliases import Aliases
from index_service.local.background import Background
from index_service.local.connections import IdleConnections
from index_service.local.held_snapshot import HeldSnapshot
from index_service.local.importing import Import
from index_service.local.merge_plan import Thresholds
from index_service.local.store import check_sqlite, create
from index_service.local.vector_index import VectorIndex
from index_service.storage import storage_error, storage_errors
from index_service.thread_work import start
from serving.background import WorkHealth
from serving.durable_files import publish, remove_folder, remove_leftovers, temporary_beside

LOCK_FILE = ".lock"
# Content of the lock file: if there are indexes but no file of aliases, that was lost. In a folder of the first
# version, which has it only after an alias was set, the lock file is empty. A copy may lack both files.
ALWAYS_WITH_ALIASES = b"2\n"

log = structlog.get_logger(__name__)

EngineFactory = Callable[[IndexDefinition], Engine]


class Catalog:
    """The open indexes of a data folder; thread-safe."""

    def __init__(self, folder: Path, engine: EngineFactory, thresholds: Thresholds, *, aliases_expected: bool) -> None:
        self._folder = folder
        self._engine = engine
        self._thresholds = thresholds
        self._background = Background()
        self._idle = IdleConnections()
        # Held while indexes are created or deleted and aliases change, never while an index is searched or written.
        self._lock = threading.Lock()
        remove_leftovers(folder)
        found = sorted(path for path in folder.iterdir() if path.is_dir() and NAME_PATTERN.fullmatch(path.name))
        self._aliases = Aliases(folder, expected=aliases_expected and bool(found))
        self._indexes: dict[str, VectorIndex | DamagedIndex] = {path.name: self._open(path) for path in found}

    @property
    def lacks(self) -> Mapping[Promise, str]:
        """Nothing: indexes on this machine keep every promise."""
        return {}

    @property
    def background(self) -> Sequence[WorkHealth]:
        """The health of background merges."""
        return (self._background.merging,)

    def create(self, definition: IndexDefinition) -> VectorIndex:
        """Create an index; it is on disk when this returns.

        Raises:
            IndexExists: the name is taken.
            StorageFull: it cannot be written.
        """
        with self._lock:
            folder = self._free_folder(definition.name)
            create(folder, _created_now(definition))
            return self._open_new(folder)

    def begin_import(self, name: str, header: ExportHeader, engine: EngineKind | None = None) -> Import:
        """Begin a new index, with the exported one's engine or another; the caller must discard the import at the end.

        Raises:
            IndexExists: the name is taken.
        """
        with self._lock:
            folder = self._free_folder(name)
        definition = replace(header.definition, name=name, engine=engine or header.definition.engine)
        return Import(temporary_beside(folder), _created_now(definition), header)

    def finish_import(self, filled: Import) -> VectorIndex:
        """Give a complete import its name: the commit point. It is on disk and searchable when this returns.

        Raises:
            IndexExists: the name has been taken since the import began.
            StorageFull: it cannot be written.
        """
        with self._lock:
            folder = self._free_folder(filled.definition.name)
            with storage_errors(folder):
                publish(filled.folder, folder)
            return self._open_new(folder)

    def get(self, name: str) -> VectorIndex:
        """Return an index by its name or an alias.

        Raises:
            IndexNotFound: no index or alias has the name.
            StoreDamaged, StorageFull, TooManyOpenFiles, OpeningFailed: the index could not be opened.
        """
        index = self._indexes.get(name) or self._indexes.get(self._aliases.get(name) or "")
        if index is None:
            raise IndexNotFound(name)
        if isinstance(index, DamagedIndex):
            if isinstance(index.problem, StorageFull | TooManyOpenFiles):
                # Not on the thread for checks, where a long one may be running.
                start(self._background.commits, partial(self._open_again, index))
            raise index.problem
        return index

    def aliases(self, name: str) -> tuple[str, ...]:
        """Return the aliases of an index."""
        return self._aliases.of(name)

    def everything(self) -> tuple[Sequence[VectorIndex | DamagedIndex], Mapping[str, str]]:
        """Return all indexes, and the aliases with the indexes that they name, as of one moment."""
        with self._lock:
            return [self._indexes[name] for name in sorted(self._indexes)], self._aliases.all()

    def page(self, after: str, limit: int) -> list[VectorIndex | DamagedIndex]:
        """Return the next `limit` indexes whose names sort after `after`."""
        with self._lock:
            names = sorted(name for name in self._indexes if name > after)
            return [self._indexes[name] for name in names[:limit]]

    def delete(self, name: str) -> int:
        """Delete an index and return its number of items, 0 for a damaged one.

        Raises:
            IndexNotFound: no index has that name.
            IndexInUse: an alias names it.
            StoreDamaged: the aliases are lost.
        """
        with self._lock:
            index = self._indexes.get(name)
            if index is None:
                raise IndexNotFound(name)
            self._aliases.check_complete()
            if aliases := self._aliases.of(name):
                raise IndexInUse(name, aliases)
            count = 0
            if isinstance(index, VectorIndex):
                index.close()
                count = index.stats().item_count
            self._remove(name)
            return count

    def set_alias(self, alias: str, name: str) -> str | None:
        """Point an alias at an index and return the one it named before.

        Raises:
            IndexNotFound: no index has that name.
            IndexExists: the alias is the name of an index.
            StorageFull: it cannot be written; the alias is unchanged.
        """
        with self._lock:
            if name not in self._indexes:
                raise IndexNotFound(name)
            if alias in self._indexes:
                raise IndexExists(alias)
            return self._aliases.set(alias, name, self._indexes.keys())

    def delete_alias(self, alias: str) -> str:
        """Remove an alias and return the index it named.

        Raises:
            IndexNotFound: the alias does not exist.
        """
        with self._lock:
            previous = self._aliases.remove(alias)
        if previous is None:
            raise IndexNotFound(alias)
        return previous

    @contextmanager
    def hold_snapshot(self) -> Iterator[HeldSnapshot]:
        """Hold a snapshot of all indexes and aliases, as of one moment, until the `with` block ends.

        Commits wait while the transactions begin, some microseconds for each index.

        Raises:
            StoreDamaged: the aliases are lost, or a store cannot be read.
            TooManyOpenFiles: each index takes three files.
        """
        with self._lock:
            self._aliases.check_complete()
            whole = {name: each for name, each in sorted(self._indexes.items()) if isinstance(each, VectorIndex)}
            snapshot = HeldSnapshot({name: index.store for name, index in whole.items()})
            with self._background.commit_gate.closed():
                aliases = {name: self._aliases.of(name) for name in whole}
                snapshot.pin(aliases, sorted(self._indexes.keys() - whole.keys()))
        try:
            yield snapshot
        finally:
            snapshot.close()

    def close(self) -> None:
        """Close all indexes."""
        with self._lock:
            for index in self._indexes.values():
                if isinstance(index, VectorIndex):
                    index.close()
            self._indexes.clear()
        # Not under the lock, because `_open_again` waits for it.
        self._background.close()

    def _remove(self, name: str) -> None:
        """Remove a closed index; reopen it if that fails."""
        folder = self._folder / name
        try:
            with storage_errors(self._folder):
                remove_folder(folder)
        finally:
            del self._indexes[name]
            if folder.exists():
                self._indexes[name] = self._open(folder)

    def _open_again(self, damaged: DamagedIndex) -> None:
        """Open an index that lacked disk space or file handles, so that a retry finds it."""
        with self._lock:
            if self._indexes.get(damaged.name) is damaged:
                self._indexes[damaged.name] = self._open(self._folder / damaged.name)

    def _free_folder(self, name: str) -> Path:
        folder = self._folder / name
        # The file system may ignore case in names.
        if name in self._indexes or folder.exists():
            raise IndexExists(name)
        if self._aliases.get(name) is not None:
            raise IndexExists(name, "alias")
        return folder

    def _open_new(self, folder: Path) -> VectorIndex:
        self._indexes[folder.name] = index = self._open(folder)
        if isinstance(index, DamagedIndex):
            self._remove(folder.name)  # its creation was never acknowledged
            raise index.problem
        return index

    def _open(self, folder: Path) -> VectorIndex | DamagedIndex:
        try:
            return VectorIndex(folder, self._engine, self._thresholds, self._background, self._idle)
        except Exception as error:  # one bad index must not keep the others from being served
            problem = _problem(folder, error)
            log.warning(
                "index cannot be opened",
                index=folder.name,
                problem=str(problem),
                exc_info=isinstance(problem, OpeningFailed),
            )
            return DamagedIndex(folder.name, problem)


def _problem(folder: Path, error: Exception) -> IndexServiceError:
    """Return the domain's error for one that was raised while an index was opened."""
    if isinstance(error, IndexServiceError):
        return error
    if (known := storage_error(error, folder)) is not None:
        return known
    return (
        StoreDamaged(folder, str(error)) if isinstance(error, OSError | sqlite3.Error) else OpeningFailed(folder, error)
    )


def _created_now(definition: IndexDefinition) -> IndexDefinition:
    return replace(definition, created_microseconds=time.time_ns() // 1_000)


@contextmanager
def open_catalog(folder: Path, engine: EngineFactory, thresholds: Thresholds) -> Iterator[Catalog]:
    """Open the indexes in `folder`, creating it if needed, and close them at the end.

    Raises:
        DataFolderInUse: another process has them open.
        SqliteTooOld: this Python cannot read them.
        StorageFull: the folder cannot be written.
    """
    check_sqlite()
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        is_new = not (folder / LOCK_FILE).exists()
        lock = (folder / LOCK_FILE).open("ab+", buffering=0)
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataFolderInUse(folder) from error
        lock.seek(0)
        marked = is_new or lock.read() == ALWAYS_WITH_ALIASES
        if is_new:  # before the indexes are opened, or a start that breaks off would leave what looks like version 1
            _mark(lock)
        catalog = Catalog(folder, engine, thresholds, aliases_expected=marked)
        if not marked:
            _mark(lock)
        try:
            yield catalog
        finally:
            catalog.close()


def _mark(lock: FileIO) -> None:
    with suppress(OSError):  # if the disk is full, a later start writes the mark
        lock.truncate(0)
        lock.write(ALWAYS_WITH_ALIASES)
