"""All indexes of a data folder, by name and by alias.

An index is a folder under its name: there once it has been renamed to it (`store.create`), gone once it has been
renamed away (`durable_files.remove_folder`); those two renames are the commit points of creating and deleting. There is
no list beside the folders that could disagree with them. One process at a time holds the data folder, by a lock on a
file that the system lets go of when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog

from index_service.aliases import Aliases
from index_service.background import Background, start
from index_service.connections import IdleConnections
from index_service.definition import NAME_PATTERN, IndexDefinition
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
from index_service.importing import Import
from index_service.merge_plan import Thresholds
from index_service.storage import storage_error, storage_errors
from index_service.store import check_sqlite, create
from index_service.vector_index import VectorIndex
from serving.background import WorkHealth
from serving.durable_files import publish, remove_folder, remove_leftovers, temporary_beside

LOCK_FILE = ".lock"
# What the lock's file says once there is a file of aliases, which then is missing only where it was lost. In folders of
# the first version there is one only after an alias was set.
ALWAYS_WITH_ALIASES = b"2\n"

log = structlog.get_logger(__name__)

EngineFactory = Callable[[IndexDefinition], Engine]


@dataclass(frozen=True)
class DamagedIndex:
    """An index that could not be opened, and why."""

    name: str
    problem: IndexServiceError


class Catalog:
    """The open indexes of a data folder; safe for threads."""

    def __init__(self, folder: Path, engine: EngineFactory, thresholds: Thresholds, *, aliases_expected: bool) -> None:
        self._folder = folder
        self._engine = engine
        self._thresholds = thresholds
        self._background = Background()
        self._idle = IdleConnections()
        # Held for creating, deleting and aliases, never while an index is searched or written.
        self._lock = threading.Lock()
        remove_leftovers(folder)
        found = sorted(path for path in folder.iterdir() if path.is_dir() and NAME_PATTERN.fullmatch(path.name))
        self._aliases = Aliases(folder, expected=aliases_expected)
        self._indexes: dict[str, VectorIndex | DamagedIndex] = {path.name: self._open(path) for path in found}

    @property
    def merging(self) -> WorkHealth:
        """The health of merges in the background."""
        return self._background.merging

    def create(self, definition: IndexDefinition) -> VectorIndex:
        """Create an index; it is on disk when this returns.

        Raises:
            IndexExists: the name is taken.
            StorageFull: it cannot be written.
        """
        with self._lock:
            folder = self._free_folder(definition.name)
            create(folder, _created_now(definition))
            return self._opened_anew(folder)

    def begin_import(self, name: str, header: ExportHeader) -> Import:
        """Begin a new index that is to be filled with an export; the caller discards it in the end.

        Raises:
            IndexExists: the name is taken.
        """
        with self._lock:
            folder = self._free_folder(name)
        return Import(temporary_beside(folder), _created_now(replace(header.definition, name=name)), header)

    def finish_import(self, filled: Import) -> VectorIndex:
        """Give a complete import its name: the commit point. It is on disk and searchable when this returns.

        Raises:
            IndexExists: the name was taken meanwhile.
            StorageFull: it cannot be written.
        """
        with self._lock:
            folder = self._free_folder(filled.definition.name)
            with storage_errors(folder):
                publish(filled.folder, folder)
            return self._opened_anew(folder)

    def get(self, name: str) -> VectorIndex:
        """Return an index by its name or an alias.

        Raises:
            IndexNotFound: there is none.
            StoreDamaged, StorageFull, TooManyOpenFiles, OpeningFailed: it could not be opened.
        """
        index = self._indexes.get(name) or self._indexes.get(self._aliases.get(name) or "")
        if index is None:
            raise IndexNotFound(name)
        if isinstance(index, DamagedIndex):
            if isinstance(index.problem, StorageFull | TooManyOpenFiles):
                # Not where checks run, one of which may be long.
                start(self._background.commits, partial(self._open_again, index))
            raise index.problem
        return index

    def aliases(self, name: str) -> tuple[str, ...]:
        """Return the aliases of an index."""
        return self._aliases.of(name)

    def page(self, after: str, limit: int) -> list[VectorIndex | DamagedIndex]:
        """Return the next `limit` indexes by name, from beyond `after`."""
        with self._lock:
            names = sorted(name for name in self._indexes if name > after)
            return [self._indexes[name] for name in names[:limit]]

    def delete(self, name: str) -> int:
        """Delete an index and return its number of items, 0 for a damaged one.

        Raises:
            IndexNotFound: there is none of that name.
            IndexInUse: an alias names it.
            StoreDamaged: what aliases there are is lost.
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
            IndexNotFound: there is no index of that name.
            IndexExists: the alias is an index's name.
            StorageFull: it cannot be written; the alias names what it did.
        """
        with self._lock:
            if name not in self._indexes:
                raise IndexNotFound(name)
            if alias in self._indexes:
                raise IndexExists(alias)
            return self._aliases.set(alias, name)

    def delete_alias(self, alias: str) -> str:
        """Remove an alias and return the index it named.

        Raises:
            IndexNotFound: there is no such alias.
        """
        with self._lock:
            previous = self._aliases.remove(alias)
        if previous is None:
            raise IndexNotFound(alias)
        return previous

    def close(self) -> None:
        """Close all indexes."""
        with self._lock:
            for index in self._indexes.values():
                if isinstance(index, VectorIndex):
                    index.close()
            self._indexes.clear()
        # Not under the lock, which `_open_again` waits for.
        self._background.close()

    def _remove(self, name: str) -> None:
        """Remove an index that is closed; where that is not possible, it is opened again."""
        folder = self._folder / name
        try:
            with storage_errors(self._folder):
                remove_folder(folder)
        finally:
            del self._indexes[name]
            if folder.exists():
                self._indexes[name] = self._open(folder)

    def _open_again(self, damaged: DamagedIndex) -> None:
        """Open an index for which there was no room or no handle, so that who tries again finds it."""
        with self._lock:
            if self._indexes.get(damaged.name) is damaged:
                self._indexes[damaged.name] = self._open(self._folder / damaged.name)

    def _free_folder(self, name: str) -> Path:
        folder = self._folder / name
        # The file system may hold names for equal that differ in case.
        if name in self._indexes or folder.exists():
            raise IndexExists(name)
        if self._aliases.get(name) is not None:
            raise IndexExists(name, "alias")
        return folder

    def _opened_anew(self, folder: Path) -> VectorIndex:
        self._indexes[folder.name] = index = self._open(folder)
        if isinstance(index, DamagedIndex):
            self._remove(folder.name)  # nobody was told that it is there
            raise index.problem
        return index

    def _open(self, folder: Path) -> VectorIndex | DamagedIndex:
        try:
            return VectorIndex(folder, self._engine, self._thresholds, self._background, self._idle)
        except Exception as error:  # whatever is wrong with one must not keep the others from being served
            problem = _problem(folder, error)
            log.warning(
                "index cannot be opened",
                index=folder.name,
                problem=str(problem),
                exc_info=isinstance(problem, OpeningFailed),
            )
            return DamagedIndex(folder.name, problem)


def _problem(folder: Path, error: Exception) -> IndexServiceError:
    """Return what an error at the opening of an index means."""
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
    """Open the indexes in `folder`, which is created if needed, and close them at the end.

    Raises:
        DataFolderInUse: another process has them open.
        SqliteTooOld: this Python cannot read them.
        StorageFull: the folder cannot be written.
    """
    check_sqlite()
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK_FILE).open("ab+", buffering=0)
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataFolderInUse(folder) from error
        lock.seek(0)
        marked = lock.read() == ALWAYS_WITH_ALIASES
        catalog = Catalog(folder, engine, thresholds, aliases_expected=marked)
        if not marked:
            with suppress(OSError):  # on a full disk the next start marks it
                lock.truncate(0)
                lock.write(ALWAYS_WITH_ALIASES)
        try:
            yield catalog
        finally:
            catalog.close()
