"""Items: as they are written, as they are read, and as an export holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from index_service.vectors import Vectors


@dataclass(frozen=True)
class NewItem:
    """An item to write; without a vector, only the attributes of an existing item are replaced."""

    id: str
    attributes: str  # canonical JSON
    vector: Vectors | None  # (dimension,), of length 1


@dataclass(frozen=True)
class Upsert:
    """Items to add or replace, in this order."""

    items: tuple[NewItem, ...]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Delete:
    """Ids to delete."""

    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


Write: TypeAlias = Upsert | Delete


@dataclass(frozen=True)
class Written:
    """The result of a write: its number of items, and the ids to delete that were unknown."""

    count: int
    unknown_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredItem:
    """An item of the store; fields that were not requested are None."""

    row: int
    sequence: int
    id: str
    attributes: str | None = None  # canonical JSON
    vector: Vectors | None = None  # (dimension,)


@dataclass(frozen=True)
class StoredRow:
    """A row exactly as stored, unchecked."""

    row: int
    sequence: int
    id: str
    attributes: str  # canonical JSON
    vector: bytes  # float32, little-endian; empty if the row has none
