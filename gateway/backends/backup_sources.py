"""What a backup reads from the other services and a restore gives back, as the core sees it.

Every method raises `DependencyUnavailable` if the service does not answer, `TimeoutError` if the deadline passes, and
`Refused` if it refuses the call.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class SnapshotIndex:
    """An index of a snapshot."""

    name: str
    model_id: str
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class IndexPart:
    """A part of an exported index, at most a few MiB, and the attributes (canonical JSON) of its items.

    A part has the items of a range of row numbers that depends on nothing else, so the parts in which nothing has
    changed are equal in a later export.
    """

    content: bytes
    attributes: Sequence[str]


class IndexSnapshot(Protocol):
    """All indexes and aliases as of one moment."""

    @property
    def indexes(self) -> Sequence[SnapshotIndex]:
        """Return the indexes, by name."""

    @property
    def damaged(self) -> Sequence[str]:
        """Return the names of indexes that could not be opened."""

    @property
    def log_bytes(self) -> int:
        """Return the bytes that the stores' logs have meanwhile."""

    def export(self, name: str) -> AsyncGenerator[IndexPart, None]:
        """Yield the parts of an index, once; raises `SnapshotEnded`."""


class IndexTransfer(Protocol):
    """Exports and imports of whole indexes."""

    def snapshot(self) -> AbstractAsyncContextManager[IndexSnapshot]:
        """Hold a snapshot until the `with` block ends; raises `SnapshotEnded` if another one is held."""

    async def import_index(self, name: str, parts: AsyncIterator[bytes]) -> None:
        """Make an index from the parts of an export: completely, or not at all. Raises `IndexExists`."""


@dataclass(frozen=True)
class ModelFile:
    """A file of a model."""

    name: str
    size: int
    sha256: str


class ModelTransfer(Protocol):
    """Exports and imports of models."""

    async def list_files(self, model_id: str) -> Sequence[ModelFile]:
        """Return the files of a model, by name."""

    def read_file(self, model_id: str, name: str) -> AsyncGenerator[bytes, None]:
        """Yield the content of a file of a model in parts."""

    async def import_model(self, model_id: str, parts: Callable[[], AsyncIterator[tuple[str, bytes]]]) -> bool:
        """Make a model on every embedder that lacks it, completely or not at all; return whether any did.

        `parts` yields parts of its files, each with the file's name, and is called for each embedder.
        """
