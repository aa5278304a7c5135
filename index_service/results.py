"""What reads of an index ask for and return: neighbours, counts, and lists in descending order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from index_service.attributes import AttributePath
from index_service.filters import Filter
from index_service.items import StoredItem
from index_service.vectors import Vectors


@dataclass(frozen=True)
class Position:
    """A neighbour's place: its distance (a float32), its row, and the number of neighbours up to it (a hint)."""

    distance: float
    row: int
    rank: int


@dataclass(frozen=True)
class Neighbor:
    """An item that was found; `attributes` is canonical JSON. Fields that were not requested are None."""

    id: str
    distance: float
    row: int
    attributes: str | None
    vector: Vectors | None = None  # (dimension,)


@dataclass(frozen=True)
class Answer:
    """The neighbours of each query, nearest first, and whether every item was compared."""

    neighbors: tuple[tuple[Neighbor, ...], ...]
    exact: bool


@dataclass(frozen=True)
class Count:
    """The number of items that pass a filter, and of those so far found within each distance of a vector."""

    items: int
    within: tuple[int, ...]


class Place(NamedTuple):
    """An item's place in the descending order of an attribute: the attribute's JSON, None if absent, and its row."""

    value: str | None
    row: int


@dataclass(frozen=True)
class Neighborhood:
    """The items within a distance of a vector (dimension,) of length 1."""

    vector: Vectors
    distance: float


@dataclass(frozen=True)
class Listing:
    """What to list: at most `limit` items that pass `condition` and are `within`, after a place."""

    path: AttributePath
    limit: int
    after: Place | None
    condition: Filter
    within: Neighborhood | None


@dataclass(frozen=True)
class Listed:
    """A listed item, its place and, in a list of near items, its distance."""

    item: StoredItem
    place: Place
    distance: float | None
