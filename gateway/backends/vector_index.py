"""The vector index's interface: named, durable indexes, searched by angle.

A name may always be an alias unless stated otherwise. Distances are angular, √(2 − 2·cos), smaller is nearer.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from semsearch.v1.query_pb2 import Filter

from gateway.backends.embedding import Vector

MAX_NEIGHBORS = 10_000
MAX_ITEMS_A_CALL = 5_000


@dataclass(frozen=True)
class Item:
    """An item; `vector` is None if it was not requested, or if only the attributes are to change.

    `attributes` is canonical JSON; see `attributes.py`.
    """

    id: str
    attributes: str
    vector: Vector | None = None


@dataclass(frozen=True)
class Neighborhood:
    """The items that a search for a model's vector would return at a distance or nearer."""

    vector: Vector
    model_id: str
    distance: float


@dataclass(frozen=True)
class NearItem:
    """An item, and its distance from the vector of a neighbourhood."""

    item: Item
    distance: float


@dataclass(frozen=True)
class Position:
    """A neighbour's place in the order by distance, then by row; valid as long as the index exists.

    `index_uid` is unique to the index, `row` breaks ties, and `rank` is how many neighbours were returned up to and
    including this one: how deep the index must search.
    """

    index_uid: str
    distance: float
    row: int
    rank: int


@dataclass(frozen=True)
class Neighbor:
    """An item that was found, with its attributes (canonical JSON, or "") and its vector if requested."""

    id: str
    attributes: str
    place: Position
    vector: Vector | None = None

    @property
    def distance(self) -> float:
        """Return the angular distance to the query."""
        return self.place.distance

    @property
    def similarity(self) -> float:
        """Return the cosine, −1…1."""
        return similarity_at(self.distance)


def similarity_at(distance: float) -> float:
    """Return the cosine, −1…1, of vectors at a distance: distance² = 2 − 2·cos."""
    return 1.0 - 0.5 * distance * distance


@dataclass(frozen=True)
class Found:
    """Neighbours, nearest first; `cut` if some are missing only because their attributes are large."""

    neighbors: Sequence[Neighbor]
    cut: bool = False


class Engine(enum.Enum):
    """The engine of an index; the default is the index service's setting."""

    DEFAULT = enum.auto()
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
    """An index's current state."""

    name: str
    model_id: str
    labels: Mapping[str, str]
    aliases: tuple[str, ...]
    item_count: int
    create_time: datetime
    disk_bytes: int = 0


class VectorIndex(Protocol):
    """Named indexes of vectors.

    Every method raises `DependencyUnavailable` if the index service does not answer, `IndexNotFound` for an unknown
    name, another `Refused` if it refuses the call, and `TimeoutError` if the deadline passes.
    """

    async def create(self, index: NewIndex) -> IndexInfo:
        """Create an index; raises `IndexExists`."""

    async def get(self, name: str) -> IndexInfo:
        """Describe an index."""

    async def count(
        self,
        name: str,
        *,
        filter_: Filter | None = None,
        near: tuple[str, Vector] | None = None,
        distances: Sequence[float] = (),
        excluded: Collection[str] = (),
    ) -> tuple[int, Sequence[int]]:
        """Return how many items there are, and how many a search returns at each of `distances` or nearer.

        The distances are ascending, and from a model's vector (`near`). `excluded` are ids that they do not count.
        Raises `ModelMismatch`.
        """

    async def sum_attribute(self, name: str, path: str) -> float:
        """Return the sum of a number attribute over the items that have it."""

    async def list_all(self) -> Sequence[IndexInfo]:
        """Return all indexes, by name."""

    async def delete(self, name: str) -> int:
        """Delete an index by its name (not an alias) and return how many items it had."""

    async def upsert(self, name: str, model_id: str, items: Sequence[Item]) -> None:
        """Add or replace 1 to `MAX_ITEMS_A_CALL` items, all or none; on disk and searchable when it returns."""

    async def load(self, name: str, model_id: str, batches: AsyncIterator[Sequence[Item]]) -> None:
        """Add or replace batches of items with vectors, in order; all are on disk when it returns.

        Meant for hundreds of thousands of items: while one batch is written, the next is read. Each batch has 1 to
        `MAX_ITEMS_A_CALL` items, written all or none, and the index is folded into segments only at the end. If
        `batches` raises, earlier batches stay written and the error is passed on.
        """

    async def delete_items(self, name: str, ids: Sequence[str]) -> Sequence[str]:
        """Delete items and return the unknown ids."""

    async def get_items(self, name: str, ids: Sequence[str], *, vectors: bool = False) -> Sequence[Item]:
        """Return those items that exist, in the order of `ids`."""

    async def list_items(
        self,
        name: str,
        *,
        page_size: int,
        page_token: str = "",
        filter_: Filter | None = None,
        descending_by: str = "",
        vectors: bool = False,
    ) -> tuple[Sequence[Item], str]:
        """Return a page of items, and the token of the next page or "".

        They are listed oldest first, or in descending order of a text attribute; those without it come last.
        """

    async def list_within(
        self,
        name: str,
        neighborhood: Neighborhood,
        *,
        descending_by: str,
        page_size: int,
        page_token: str = "",
        filter_: Filter | None = None,
    ) -> tuple[Sequence[NearItem], str]:
        """Return a page of the items in a neighbourhood, in descending order; raises `ModelMismatch`."""

    async def search(
        self,
        name: str,
        vector: Vector,
        k: int,
        model_id: str,
        *,
        filter_: Filter | None = None,
        attributes: Sequence[str] | None = None,
        vectors: bool = False,
        after: Position | None = None,
    ) -> Found:
        """Return the k ≤ `MAX_NEIGHBORS` nearest items, up to about 3 MiB with attributes; raises `ModelMismatch`.

        `attributes` are the paths of those to return; None means all. With vectors, k is at most 5,000.
        With `after`, they follow a neighbour that a search for the same vector returned; raises `PositionOutOfDate` if
        that was in another index.
        """

    async def search_many(
        self, name: str, vectors: NDArray[np.float32], k: int, model_id: str
    ) -> Sequence[Sequence[str]]:
        """Return the ids of the k items nearest to each of up to 1,000 vectors; raises `ModelMismatch`."""

    async def optimize(self, name: str) -> None:
        """Fold all rows into segments; may take minutes."""

    async def set_alias(self, alias: str, name: str) -> str:
        """Point an alias at an index and return the index it named before, or ""."""

    async def delete_alias(self, alias: str) -> str:
        """Remove an alias and return the index it named."""
