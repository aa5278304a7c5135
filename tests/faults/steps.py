"""The requests of a client as steps, and the expected state after each, modelled with dictionaries."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import numpy as np

from index_service.definition import EngineKind, IndexDefinition
from index_service.export_format import ExportHeader, ExportTrailer
from index_service.items import Delete, NewItem, Upsert
from index_service.local.catalog import Catalog
from index_service.vectors import Vectors, unit

DIMENSION = 16
DEADLINE = 30.0

Items: TypeAlias = dict[str, tuple[str, bytes]]  # id → attributes, vector


@dataclass(frozen=True)
class State:
    """Everything that was acknowledged to clients."""

    indexes: dict[str, Items] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def with_items(self, index: str, items: Items) -> State:
        return replace(self, indexes={**self.indexes, index: items})


class Step(Protocol):
    """A request."""

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        """Send the request and wait for the answer; `do` runs its inner steps."""

    def applied(self, state: State) -> State:
        """Return the state after the step.

        Raises:
            KeyError: it names something that does not exist, or creates something that does.
        """

    def within(self) -> Sequence[Step]: ...


class _Plain:
    def within(self) -> Sequence[Step]:
        return ()


@dataclass(frozen=True)
class Create(_Plain):
    index: str
    engine: EngineKind = EngineKind.ANNOY

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        catalog.create(IndexDefinition(self.index, DIMENSION, "model", engine=self.engine))

    def applied(self, state: State) -> State:
        if self.index in state.indexes:
            raise KeyError(self.index)
        return state.with_items(self.index, {})


@dataclass(frozen=True)
class Put(_Plain):
    """Adds or replaces items `first` … `first + count - 1`, each `times` times in one batch."""

    index: str
    first: int
    count: int
    seed: int
    times: int = 1

    def _items(self) -> list[NewItem]:
        vectors = random_units(self.seed, self.count * self.times)
        return [
            NewItem(str(self.first + number % self.count), f'{{"seed":{self.seed},"turn":{number}}}', vector)
            for number, vector in enumerate(vectors)
        ]

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        catalog.get(self.index).upsert(Upsert(tuple(self._items()))).result(DEADLINE)

    def applied(self, state: State) -> State:
        put = {item.id: (item.attributes, item.vector.tobytes()) for item in self._items() if item.vector is not None}
        return state.with_items(self.index, {**state.indexes[self.index], **put})


@dataclass(frozen=True)
class Retag(_Plain):
    """Changes only the attributes of items."""

    index: str
    first: int
    count: int
    tag: str

    def _ids(self) -> list[str]:
        return [str(number) for number in range(self.first, self.first + self.count)]

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        items = tuple(NewItem(item_id, f'{{"tag":"{self.tag}"}}', None) for item_id in self._ids())
        catalog.get(self.index).upsert(Upsert(items)).result(DEADLINE)

    def applied(self, state: State) -> State:
        items = state.indexes[self.index]
        retagged = {item_id: (f'{{"tag":"{self.tag}"}}', items[item_id][1]) for item_id in self._ids()}
        return state.with_items(self.index, {**items, **retagged})


@dataclass(frozen=True)
class Remove(_Plain):
    index: str
    first: int
    count: int

    def _ids(self) -> tuple[str, ...]:
        return tuple(str(number) for number in range(self.first, self.first + self.count))

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        catalog.get(self.index).delete(Delete(self._ids())).result(DEADLINE)

    def applied(self, state: State) -> State:
        gone = set(self._ids())
        kept = {item_id: item for item_id, item in state.indexes[self.index].items() if item_id not in gone}
        return state.with_items(self.index, kept)


@dataclass(frozen=True)
class Fold:
    """Merges everything into one segment; the steps `during` are requested and answered during the build."""

    index: str
    during: tuple[Step, ...] = ()

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        waiting = list(self.during)

        def progress(done: int, _total: int) -> None:
            while done and waiting:
                do(waiting.pop(0))

        catalog.get(self.index).optimize(progress).result(DEADLINE)

    def applied(self, state: State) -> State:
        state.indexes[self.index]
        return state

    def within(self) -> Sequence[Step]:
        return self.during


@dataclass(frozen=True)
class SetAlias(_Plain):
    alias: str
    index: str

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        catalog.set_alias(self.alias, self.index)

    def applied(self, state: State) -> State:
        state.indexes[self.index]
        return replace(state, aliases={**state.aliases, self.alias: self.index})


@dataclass(frozen=True)
class DropAlias(_Plain):
    alias: str

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        catalog.delete_alias(self.alias)

    def applied(self, state: State) -> State:
        state.aliases[self.alias]
        return replace(state, aliases={name: index for name, index in state.aliases.items() if name != self.alias})


@dataclass(frozen=True)
class Drop(_Plain):
    index: str

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        catalog.delete(self.index)

    def applied(self, state: State) -> State:
        state.indexes[self.index]
        return replace(state, indexes={name: items for name, items in state.indexes.items() if name != self.index})


@dataclass(frozen=True)
class Copy(_Plain):
    """Exports an index and imports it under a new name."""

    index: str
    name: str

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        header, *pieces, trailer = catalog.get(self.index).export()
        assert isinstance(header, ExportHeader)
        assert isinstance(trailer, ExportTrailer)
        filling = catalog.begin_import(self.name, header)
        try:
            for piece in pieces:
                assert isinstance(piece, tuple)
                filling.add(piece)
            filling.complete(trailer)
            catalog.finish_import(filling)
        finally:
            filling.discard()

    def applied(self, state: State) -> State:
        if self.name in state.indexes:
            raise KeyError(self.name)
        return state.with_items(self.name, state.indexes[self.index])


@dataclass(frozen=True)
class Close(_Plain):
    """Stops the service gracefully."""

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        catalog.close()

    def applied(self, state: State) -> State:
        return state


@dataclass(frozen=True)
class Die(_Plain):
    """The process ends here."""

    def perform(self, catalog: Catalog, do: Callable[[Step], None]) -> None:
        os._exit(0)

    def applied(self, state: State) -> State:
        return state


def in_order(steps: Sequence[Step]) -> list[Step]:
    """Return all steps, including inner ones, in the order of their answers."""
    return [each for step in steps for each in (*in_order(step.within()), step)]


def random_units(seed: int, count: int) -> Vectors:
    return unit(np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32))
