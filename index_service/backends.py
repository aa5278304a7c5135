"""All indexes of the service: each engine's backend keeps its own, and names are unique over all of them.

An alias can move from an index of one backend to one of another. If several backends have the same alias, the first
backend's counts, and the others' are hidden. So each move has one step that makes it visible, whichever way it goes:
set the alias in its new backend, remove it from those before, then from those behind. An alias that a crash leaves
hidden is removed before it could appear.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any, TypeVar

from index_service.contract import AnyCatalog, Index, Promise, Snapshot
from index_service.definition import NAME_PATTERN, EngineKind, IndexDefinition
from index_service.descriptions import DamagedIndex, HeldIndex
from index_service.errors import (
    EngineNotConfigured,
    IndexExists,
    IndexInUse,
    IndexNotFound,
    IndexServiceError,
    SnapshotEnded,
)
from index_service.export_format import ExportHeader, ExportPiece
from serving.background import WorkHealth

T = TypeVar("T")

_PAGE = 1_000


@dataclass(frozen=True)
class Backend:
    """A catalog, and the engines of the indexes that it keeps."""

    engines: frozenset[EngineKind]
    catalog: AnyCatalog


@dataclass(frozen=True)
class _Import:
    """An import, and the backend that it fills."""

    backend: Backend
    filled: Any

    @property
    def definition(self) -> IndexDefinition:
        return self.filled.definition  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.filled, name)


class Backends:
    """The indexes of several backends as one catalog; see `contract.Catalog`."""

    def __init__(self, backends: Sequence[Backend], missing: Mapping[EngineKind, str] | None = None) -> None:
        """Combine backends; `missing` says for each engine without one what to do to have it."""
        self.backends = tuple(backends)
        self._missing = dict(missing or {})
        # Held while names are given and taken away.
        self._lock = threading.Lock()

    @property
    def lacks(self) -> Mapping[Promise, str]:
        """The promises that not all indexes keep."""
        return {promise: text for each in self.backends for promise, text in each.catalog.lacks.items()}

    @property
    def background(self) -> Sequence[WorkHealth]:
        """The health of all background work."""
        return tuple(work for each in self.backends for work in each.catalog.background)

    def create(self, definition: IndexDefinition) -> Index:
        """Create an index with the backend of its engine."""
        with self._lock:
            backend = self._of_engine(definition.engine)
            self._check_free(definition.name)
            return backend.catalog.create(definition)

    def begin_import(self, name: str, header: ExportHeader, engine: EngineKind | None = None) -> _Import:
        """Begin a new index with the backend of its engine."""
        with self._lock:
            backend = self._of_engine(engine or header.definition.engine)
            self._check_free(name)
            return _Import(backend, backend.catalog.begin_import(name, header, engine))

    def finish_import(self, filled: _Import) -> Index:
        """Give a complete import its name."""
        with self._lock:
            self._check_free(filled.definition.name)
            return filled.backend.catalog.finish_import(filled.filled)

    def get(self, name: str) -> Index:
        """Return an index by its name or an alias."""
        return self._first(lambda catalog: catalog.get(name), name)

    def aliases(self, name: str) -> tuple[str, ...]:
        """Return the aliases of an index, without those that are hidden."""
        for position, backend in enumerate(self.backends):
            if found := backend.catalog.aliases(name):
                return tuple(alias for alias in found if self._backend_of_alias(alias) == position)
        return ()

    def page(self, after: str, limit: int) -> Sequence[Index | DamagedIndex]:
        """Return the next indexes by name."""
        pages = [backend.catalog.page(after, limit) for backend in self.backends]
        return list(islice(merge(*pages, key=_name), limit))

    def delete(self, name: str) -> int:
        """Delete an index."""
        with self._lock:
            if aliases := self.aliases(name):
                raise IndexInUse(name, aliases)
            position = self._position_of(name)
            catalog = self.backends[position].catalog
            for alias in catalog.aliases(name):
                catalog.delete_alias(alias)  # hidden
            return catalog.delete(name)

    def set_alias(self, alias: str, name: str) -> str | None:
        """Point an alias at an index of any backend."""
        with self._lock:
            position = self._position_of(name)
            if self._is_index(alias):
                raise IndexExists(alias)
            previous = self._target(alias)
            moved = self.backends[position].catalog.set_alias(alias, name)
            for other in (*self.backends[:position], *self.backends[position + 1 :]):
                _remove(other.catalog, alias)
            return previous or moved

    def delete_alias(self, alias: str) -> str:
        """Remove an alias from all backends, the one that counts last."""
        with self._lock:
            previous = self._target(alias)
            if previous is None:
                raise IndexNotFound(alias)
            for backend in reversed(self.backends):
                _remove(backend.catalog, alias)
            return previous

    @contextmanager
    def hold_snapshot(self) -> Iterator[Snapshot]:
        """Hold a snapshot of all backends. The first one's begins last, so it has all that the others' have."""
        with ExitStack() as stack:
            held = [stack.enter_context(each.catalog.hold_snapshot()) for each in reversed(self.backends)]
            yield _Snapshots(tuple(reversed(held)))

    def _of_engine(self, engine: EngineKind) -> Backend:
        for backend in self.backends:
            if engine in backend.engines:
                return backend
        raise EngineNotConfigured(engine.value, self._missing.get(engine, "This service was built without it."))

    def _check_free(self, name: str) -> None:
        if self._is_index(name):
            raise IndexExists(name)
        if self._target(name) is not None:
            raise IndexExists(name, "alias")

    def _is_index(self, name: str) -> bool:
        return any(self._has(backend, name) for backend in self.backends)

    def _position_of(self, name: str) -> int:
        for position, backend in enumerate(self.backends):
            if self._has(backend, name):
                return position
        raise IndexNotFound(name)

    def _has(self, backend: Backend, name: str) -> bool:
        """Return whether a backend has an index with this name, also one that cannot be opened."""
        return NAME_PATTERN.fullmatch(name) is not None and any(
            _name(each) == name for each in backend.catalog.page(_before(name), 1)
        )

    def _target(self, alias: str) -> str | None:
        """Return the index that an alias names, or None."""
        try:
            index = self.get(alias)
        except IndexNotFound:
            return None
        except IndexServiceError:  # the index cannot be used now, but it can lose its alias
            return self._target_of_unusable(alias)
        return None if index.definition.name == alias else index.definition.name

    def _target_of_unusable(self, alias: str) -> str | None:
        for backend in self.backends:
            after = ""
            while page := backend.catalog.page(after, _PAGE):
                for after in map(_name, page):
                    if alias in backend.catalog.aliases(after):
                        return after
        return None

    def _backend_of_alias(self, alias: str) -> int:
        for position, backend in enumerate(self.backends):
            try:
                backend.catalog.get(alias)
            except IndexNotFound:
                continue
            except IndexServiceError:
                pass  # it names an index that cannot be used now
            return position
        return -1

    def _first(self, ask: Callable[[AnyCatalog], T], name: str) -> T:
        for backend in self.backends:
            try:
                return ask(backend.catalog)
            except IndexNotFound:
                continue
        raise IndexNotFound(name)


class _Snapshots:
    """The snapshots of all backends as one."""

    def __init__(self, held: Sequence[Snapshot]) -> None:
        self._held = held
        self.indexes: Sequence[HeldIndex] = sorted(
            (index for each in held for index in each.indexes), key=lambda index: index.definition.name
        )
        self.damaged: Sequence[str] = sorted(name for each in held for name in each.damaged)

    def log_bytes(self) -> int:
        return sum(each.log_bytes() for each in self._held)

    def export(self, name: str) -> Generator[ExportPiece, None, None]:
        for each in self._held:
            if any(index.definition.name == name for index in each.indexes):
                return each.export(name)
        raise SnapshotEnded(f'it has no index "{name}"')


def _name(index: Index | DamagedIndex) -> str:
    return index.name if isinstance(index, DamagedIndex) else index.definition.name


def _before(name: str) -> str:
    """Return a text after which `name`, which an index can have, is the first possible name."""
    return name[:-1] + chr(ord(name[-1]) - 1) + "\U0010ffff"


def _remove(catalog: AnyCatalog, alias: str) -> None:
    try:
        catalog.delete_alias(alias)
    except IndexNotFound:
        return
