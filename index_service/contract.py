"""What the servicer needs of indexes, wherever they are kept.

`local/` keeps indexes on this machine and fulfils all of it. A backend that keeps indexes elsewhere fulfils all of it
too, except for what its catalog lists in `lacks`; the shared tests (tests/contract) check every promise with every
engine, and each one that is lacking for its stated difference.

Invariants of every index:

1. A smaller distance means nearer. Distances are computed by `vectors.distances`, so the same pair of vectors has the
   same distance in every index, to the bit.
2. Neighbours are ordered by distance, then by row. A row is the number that an item gets with its vector; it grows,
   and is never used again. A sequence is the number that an item gets when it is added, and keeps until it is deleted.
3. An acknowledged write is kept. `GetItems` sees it in every later call.
4. Names of indexes and aliases are unique over all backends, and an alias moves atomically, also between backends.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from index_service.attributes import AttributePath
from index_service.definition import EngineKind, IndexDefinition
from index_service.descriptions import CheckStep, DamagedIndex, HeldIndex, Stats
from index_service.export_format import ExportHeader, ExportPiece, ExportTrailer
from index_service.filters import Filter
from index_service.items import Delete, StoredItem, StoredRow, Upsert, Written
from index_service.results import Answer, Count, Listed, Listing, Position
from index_service.vectors import Vectors
from serving.background import WorkHealth

# The default bound of the bytes that stores keep while a snapshot is held.
MAX_LOG_BYTES = 8 * 2**30
# Called with the number of rows done, and of all rows.
Progress = Callable[[int, int], None]


class Promise(StrEnum):
    """What an index on this machine promises and one elsewhere may lack; the text is the promise."""

    WHOLE_MESSAGES = "a message of UpsertItems or DeleteItems is written as a whole or not at all"
    ONE_VERSION = "a read sees one version of all items, whatever is written meanwhile"
    SEARCHED_AT_ONCE = "an acknowledged write is in every later search, list and count"
    ANY_DEPTH = "a search continues after any position"
    ANY_RECALL = "a search may aim at another recall than its index"
    REBUILD = "OptimizeIndex rebuilds what searches use"
    EXPORT_BESIDE_WRITES = "writes do not wait for an export"
    ANY_NAME = "every valid name can be given to an index or an alias"


class Index(Protocol):
    """An open index; thread-safe. Reads raise StoreDamaged if what they read is damaged."""

    @property
    def definition(self) -> IndexDefinition:
        """What its creator chose."""
        ...

    @property
    def uid(self) -> str:
        """An id that no other index has or ever had, not even one with the same name."""
        ...

    def answers_at_once(self, k: int) -> bool:
        """Return whether a search for `k` neighbours takes no longer than handing it to a thread would."""
        ...

    def check_model(self, model_id: str) -> None:
        """Check that a model's vectors can be compared with those of the index; raise ModelMismatch if not."""
        ...

    def check_uid(self, uid: str) -> None:
        """Check that positions from the index with `uid` are valid here; raise PositionOutOfDate if not."""
        ...

    def items(self, ids: Sequence[str], *, vectors: bool) -> Mapping[str, StoredItem]:
        """Return the items that exist among `ids`, with attributes, by id."""
        ...

    def page(self, after: int, limit: int, condition: Filter, *, vectors: bool) -> Generator[StoredItem, None, None]:
        """Yield the next `limit` items after sequence `after` that pass, by sequence; the caller closes it."""
        ...

    def descending(self, listing: Listing, *, vectors: bool) -> Generator[Sequence[Listed], None, None]:
        """Yield a list in descending order of an attribute, block by block; a block may be empty."""
        ...

    def search(
        self,
        queries: Sequence[Vectors | str],
        k: int,
        condition: Filter | None,
        *,
        attributes: bool,
        vectors: bool = False,
        recall: float | None = None,
        after: Sequence[Position | None] | None = None,
    ) -> Answer:
        """Find the `k` nearest items of each query, which is a vector (dimension,) of length 1 or an item's id.

        Args:
            queries: vectors, and ids of items to find the neighbours of.
            k: the number of neighbours of each query.
            condition: the filter that items must pass; None lets all pass.
            attributes: whether to return the neighbours' attributes.
            vectors: whether to return their vectors.
            recall: share of the true neighbours to aim at; None means the index's target, 1 compares all.
            after: for each query, the position after which to search, or None to start at the nearest.

        Raises:
            ItemNotFound: the index has no item with an id among `queries`.
        """
        ...

    def count(
        self, condition: Filter | None, near: Vectors | None, bounds: Sequence[float], left_out: Sequence[str]
    ) -> Generator[Count, None, None]:
        """Yield counts that grow until the last: of items that pass, and within ascending distances `bounds` of `near`.

        The items `left_out` are not counted by distance.
        """
        ...

    def sum_of(self, path: AttributePath) -> tuple[int, float]:
        """Return how many items have a number at a path, and the sum of these numbers."""
        ...

    def stats(self) -> Stats:
        """Return what the index currently consists of."""
        ...

    def export(self) -> Generator[ExportPiece, None, None]:
        """Yield one version of the index: a header, rows in ascending order, and a trailer; the caller closes it."""
        ...

    def check(self) -> Generator[CheckStep, None, None]:
        """Yield progress while everything is checked, and finally the report."""
        ...

    def upsert(self, write: Upsert) -> Future[Written]:
        """Write items; the future is done when they are kept. It raises ItemNotFound for attributes of no item.

        Raises:
            TooManyWrites, IndexNotFound: the write was not queued.
        """
        ...

    def delete(self, write: Delete) -> Future[Written]:
        """Delete items; the future is done when that is kept. Raises as `upsert`."""
        ...

    def bulk(self) -> AbstractContextManager[None]:
        """Enclose the writing of many items."""
        ...

    def optimize(self, progress: Progress, *, rebuild: bool = False) -> Future[None]:
        """Make searches as fast as they can be, or `rebuild` all that they use."""
        ...


class Import(Protocol):
    """A new index that is filled from an export, by one thread at a time; the caller always discards it at the end."""

    @property
    def definition(self) -> IndexDefinition:
        """The definition of the new index."""
        ...

    def add(self, rows: Sequence[StoredRow]) -> None:
        """Add the next rows; raise InvalidExport if they are not valid after those before."""
        ...

    def complete(self, trailer: ExportTrailer) -> None:
        """Check that the export is complete; raise InvalidExport if it is not."""
        ...

    def discard(self) -> None:
        """Remove what was added, unless the import has been finished."""
        ...


class Snapshot(Protocol):
    """All indexes and aliases as of one moment, kept for exports; thread-safe."""

    @property
    def indexes(self) -> Sequence[HeldIndex]:
        """The indexes."""
        ...

    @property
    def damaged(self) -> Sequence[str]:
        """The names of the indexes that cannot be read."""
        ...

    def log_bytes(self) -> int:
        """Return how many bytes are kept because of it."""
        ...

    def export(self, name: str) -> Generator[ExportPiece, None, None]:
        """Yield the pieces of an export of one of its indexes; raise SnapshotEnded if it is closed."""
        ...


I = TypeVar("I", bound=Import)  # noqa: E741


class Catalog(Protocol[I]):
    """Indexes by name and by alias; thread-safe. `get` and `aliases` do not block."""

    @property
    def lacks(self) -> Mapping[Promise, str]:
        """The promises that its indexes lack, each with what holds instead."""
        ...

    @property
    def background(self) -> Sequence[WorkHealth]:
        """The health of its background work."""
        ...

    def create(self, definition: IndexDefinition) -> Index:
        """Create an index; it is kept when this returns. Raises IndexExists if the name is taken."""
        ...

    def begin_import(self, name: str, header: ExportHeader, engine: EngineKind | None = None) -> I:
        """Begin a new index, with the exported one's engine or another; raise IndexExists if the name is taken."""
        ...

    def finish_import(self, filled: I) -> Index:
        """Give a complete import its name; raise IndexExists if it has been taken meanwhile."""
        ...

    def get(self, name: str) -> Index:
        """Return an index by its name or an alias; raise IndexNotFound, or why it cannot be opened."""
        ...

    def aliases(self, name: str) -> tuple[str, ...]:
        """Return the aliases of an index, sorted."""
        ...

    def page(self, after: str, limit: int) -> Sequence[Index | DamagedIndex]:
        """Return the next `limit` indexes whose names sort after `after`."""
        ...

    def delete(self, name: str) -> int:
        """Delete an index and return its number of items; raise IndexNotFound, or IndexInUse if an alias names it."""
        ...

    def set_alias(self, alias: str, name: str) -> str | None:
        """Point an alias at an index and return the one it named; raise IndexNotFound, or IndexExists for an index."""
        ...

    def delete_alias(self, alias: str) -> str:
        """Remove an alias and return the index it named; raise IndexNotFound if it does not exist."""
        ...

    def hold_snapshot(self) -> AbstractContextManager[Snapshot]:
        """Hold a snapshot of all indexes and aliases until the `with` block ends."""
        ...


AnyCatalog = Catalog[Any]
