"""What the gateway needs of a vector index: named, durable, searched by angle.

A name may always be an alias, unless it says otherwise. Distances are angular, √(2 − 2·cos), smaller is nearer.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from semsearch.v1.query_pb2 import Filter

from gateway.backends.embedding import Vector

MAX_NEIGHBORS = 10_000
MAX_ITEMS_A_CALL = 5_000


@dataclass(frozen=True)
class Item:
    """An item; without a vector where it was not asked for, or where only the attributes are to change.

    `attributes` is canonical JSON; see `attributes.py`.
    """

    id: str
    attributes: str
    vector: Vector | None = None


@dataclass(frozen=True)
class Position:
    """A neighbour's place in the order of all, by distance, then by row, for as long as the index exists.

    `index_uid` is what no other index has or had, `row` tells equals apart, `rank` is how many neighbours were returned
    with it: how deep the index is to search.
    """

    index_uid: str
    distance: float
    row: int
    rank: int


@dataclass(frozen=True)
class Neighbor:
    """An item that was found, with its attributes (canonical JSON, or "") and its vector if they were asked for."""

    id: str
    attributes: str
    place: Position
    vector: Vector | None = None

    @property
    def distance(self) -> float:
        """Returns the angular distance to the query."""
        return self.place.distance

    @property
    def similarity(self) -> float:
        """Returns the cosine, −1…1: distance² = 2 − 2·cos."""
        return 1.0 - 0.5 * self.distance * self.distance


@dataclass(frozen=True)
class Found:
    """Neighbours, nearest first; `cut` where fewer than asked for are here only because their attributes are large."""

    neighbors: Sequence[Neighbor]
    cut: bool = False


class Engine(enum.Enum):
    """What an index is searched with once its rows are in segments."""

    ANNOY = enum.auto()
    EXACT = enum.auto()
    HNSW = enum.auto()


@dataclass(frozen=True)
class NewIndex:
    """An index to create."""

    name: str
    dimension: int
    model_id: str
    engine: Engine
    indexed_attributes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class IndexInfo:
    """An index as it is."""

    name: str
    model_id: str
    labels: Mapping[str, str]
    aliases: tuple[str, ...]
    item_count: int
    create_time: datetime


class VectorIndex(Protocol):
    """Named indexes of vectors.

    Every method raises `DependencyUnavailable` where the index service does not answer, `IndexNotFound` for an unknown
    name, another `Refused` where it refuses the call, and `TimeoutError` where the deadline passed.
    """

    async def create(self, index: NewIndex) -> IndexInfo:
        """Create an index; raises `IndexExists`."""

    async def get(self, name: str) -> IndexInfo:
        """Describe an index."""

    async def list_all(self) -> Sequence[IndexInfo]:
        """Return all indexes, by name."""

    async def delete(self, name: str) -> int:
        """Delete an index by its name (no alias) and returns how many items it had."""

    async def upsert(self, name: str, model_id: str, items: Sequence[Item]) -> None:
        """Add or replaces 1 to `MAX_ITEMS_A_CALL` items, all or none; on disk and searchable when it returns."""

    async def load(self, name: str, model_id: str, batches: AsyncIterator[Sequence[Item]]) -> None:
        """Add or replaces batches of items with vectors, one after the other; all are on disk when it returns.

        For items by the hundred thousand: while one batch is written, the next is read. Each is of 1 to
        `MAX_ITEMS_A_CALL`, all or none, and the index is folded into segments at the end only. What was written stays
        where a batch cannot be had; the error of that is raised.
        """

    async def delete_items(self, name: str, ids: Sequence[str]) -> Sequence[str]:
        """Delete items and returns the ids that there were none of."""

    async def get_items(self, name: str, ids: Sequence[str], *, vectors: bool = False) -> Sequence[Item]:
        """Return those items that exist, in the order of `ids`."""

    async def list_items(
        self, name: str, *, page_size: int, page_token: str = "", filter_: Filter | None = None
    ) -> tuple[Sequence[Item], str]:
        """Return a page of items, oldest first, and the token of the next page or ""."""

    async def search(
        self,
        name: str,
        vector: Vector,
        k: int,
        model_id: str,
        *,
        filter_: Filter | None = None,
        attributes: bool = True,
        vectors: bool = False,
        after: Position | None = None,
    ) -> Found:
        """Return the k ≤ `MAX_NEIGHBORS` nearest items, or with their attributes some 3 MiB; raises `ModelMismatch`.

        With `after`, these are the nearest behind a neighbour that a search for the same vector returned; raises
        `PositionOutOfDate` where that was in another index.
        """

    async def optimize(self, name: str) -> None:
        """Folds all rows into segments; takes as long as it takes."""

    async def set_alias(self, alias: str, name: str) -> str:
        """Let an alias name an index and returns the index it named before, or ""."""

    async def delete_alias(self, alias: str) -> str:
        """Remove an alias and returns the index it named."""
