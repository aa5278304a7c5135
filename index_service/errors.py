"""Errors of the index service, independent of gRPC; `statuses` maps each class to a code and a reason.

`coordination/errors` has those of leases and records, and `replication/refusals` those of read replicas.

IndexServiceError
├── IndexNotFound            no index or alias has that name
├── IndexExists              the name is taken by an index or an alias
├── IndexInUse               an alias names the index to delete
├── ItemNotFound             no item has that id
├── InvalidId                an item's id is empty, too long, or has a slash or a control character
├── InvalidVector            a vector has a NaN or an infinity, or is all zero
├── InvalidFilter            a filter that is malformed, too deep or too large
├── DimensionMismatch        a vector's length is not the index's dimension
├── ModelMismatch            a vector's model is not the index's
├── PositionOutOfDate        a search continues in a different index from the one it began in
├── InvalidAttributePath     a path that no attribute can have
├── InvalidExport            the data to import is truncated, altered, or not an export
├── ExportTooNew             a newer version wrote the export
├── SnapshotEnded            a snapshot of all indexes is no longer held
├── TooManyWrites            the store's write queue is full
├── TooManyOperations        the limit of concurrent exports, imports and checks is reached
├── InvalidName              an engine cannot have an index or alias of that name
├── EngineNotConfigured      an index's engine needs something that is not set up
├── ClusterUnavailable       the cluster that keeps an index does not answer
│   └── ReplicasMissing      too few of its nodes answer for the consistency level
├── TooDeep                  a search continues deeper than its index can search
├── NotWithEngine            an index's engine cannot do that
├── BuildFailed              an engine could not build a segment
│   └── BuildStopped         the index or the service was closed meanwhile
├── TooManyOpenFiles         the process or the system has no free file handle
├── OpeningFailed            an index cannot be opened, and its files are not known to be damaged
├── StorageFull              the disk is full, or the data folder cannot be written
├── PlaceUnusable            indexes cannot be published to, or read from, the place that a setting names
├── DataFolderInUse          another process serves the data folder
├── SqliteTooOld             Python's SQLite lacks features that the stores need
└── StoreDamaged             a file that no other can replace cannot be read
    └── StoreTooNew          a newer version wrote the file
"""

from __future__ import annotations

from pathlib import Path


def _shown(path: Path) -> str:
    """Return the end of a path: callers need not know where the data folder is."""
    return "/".join(path.parts[-2:])


class IndexServiceError(Exception):
    """The base of all errors of this service."""


class IndexNotFound(IndexServiceError):
    """No index or alias has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'There is no index or alias "{name}". ListIndexes names those that exist.')
        self.name = name


class IndexExists(IndexServiceError):
    """The name is taken."""

    def __init__(self, name: str, kind: str = "index") -> None:
        super().__init__(f'"{name}" is already the name of an {kind}. Choose another name, or delete the {kind} first.')
        self.name = name


class IndexInUse(IndexServiceError):
    """Aliases name the index."""

    def __init__(self, name: str, aliases: tuple[str, ...]) -> None:
        super().__init__(
            f'Index "{name}" was not deleted, because it is the target of the alias {", ".join(aliases)}. '
            "Point the alias at another index or remove it, then delete the index."
        )
        self.name = name
        self.aliases = aliases


class ItemNotFound(IndexServiceError):
    """The index has no item with that id."""

    def __init__(self, item_id: str, purpose: str) -> None:
        super().__init__(f'The index has no item "{item_id}", so {purpose}.')
        self.item_id = item_id


class _InField(Exception):
    """`field` is the part of a request that breaks the rules, and `description` says how."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field} {description}")
        self.field = field
        self.description = description


class InvalidId(_InField, IndexServiceError):
    """An item's id breaks the rules."""


class InvalidVector(_InField, IndexServiceError):
    """A vector has a NaN or an infinity, or is all zero."""


class InvalidFilter(_InField, IndexServiceError):
    """A filter is malformed, or deeper or larger than allowed."""


class DimensionMismatch(IndexServiceError):
    """A vector's length is not the index's dimension."""

    def __init__(self, field: str, length: int, dimension: int) -> None:
        super().__init__(f"{field} has {length} numbers; vectors of this index have {dimension}.")
        self.field = field
        self.length = length
        self.dimension = dimension


class ModelMismatch(IndexServiceError):
    """A vector comes from a different model from the index's."""

    def __init__(self, index: str, expected: str, got: str) -> None:
        super().__init__(
            f'Index "{index}" holds vectors of model "{expected}", but these are of "{got}". '
            "Vectors of different models cannot be compared: use an index of the same model."
        )
        self.index = index
        self.expected = expected
        self.got = got


class PositionOutOfDate(IndexServiceError):
    """A search continues in a different index from the one it began in."""

    def __init__(self, index: str) -> None:
        super().__init__(
            f'The search did not begin in this index "{index}", so it cannot continue here. '
            "Search again from the beginning."
        )


class InvalidAttributePath(IndexServiceError):
    """A path that no attribute can have."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f'The attribute path "{path}" {problem}.')
        self.path = path
        self.problem = problem


class InvalidExport(IndexServiceError):
    """The data to import is not a complete export."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The export is damaged or cut off: {problem}. Nothing was imported; export the index again.")


class ExportTooNew(IndexServiceError):
    """A newer version of this program wrote the export."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"The export has format version {found}, but this program reads versions up to {known}. "
            "Nothing was imported; import it with the newer program."
        )
        self.found = found
        self.known = known


class TooManyOperations(IndexServiceError):
    """The limit of concurrent exports, imports and checks is reached."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} exports, imports and checks are already running, which is the limit. "
            "Try again when one has finished."
        )


class TooManyWrites(IndexServiceError):
    """The store's write queue is full."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} items are already waiting. Nothing of this call was written; try again shortly.")


class InvalidName(IndexServiceError):
    """An engine cannot have an index or alias of that name."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f'"{name}" cannot be the name of an index or alias of this engine: {problem}.')
        self.problem = str(self)


class EngineNotConfigured(IndexServiceError):
    """An index's engine needs something that is not set up."""

    def __init__(self, engine: str, remedy: str) -> None:
        super().__init__(f'Indexes with the engine "{engine}" cannot be made here. {remedy}')
        self.engine = engine


class ClusterUnavailable(IndexServiceError):
    """The cluster that keeps an index does not answer."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The cluster that keeps the index does not answer: {problem}. Try again in a moment.")


class ReplicasMissing(ClusterUnavailable):
    """Too few of the cluster's nodes answer for the consistency level."""


class TooDeep(IndexServiceError):
    """A search continues deeper than its index can search."""

    def __init__(self, depth: int, limit: int) -> None:
        super().__init__(
            f"This page would be at depth {depth:,} of the search, and this index is searched down to {limit:,}. "
            "Narrow the search with a filter, or use an index with another engine."
        )


class NotWithEngine(IndexServiceError):
    """An index's engine cannot do that."""

    def __init__(self, engine: str, problem: str) -> None:
        super().__init__(f'The engine "{engine}" {problem}.')


class BuildFailed(IndexServiceError):
    """An engine could not build a segment; its rows are still searched as before."""


class BuildStopped(BuildFailed):
    """The index or the service was closed while a segment was built; the next start builds it."""


class TooManyOpenFiles(IndexServiceError):
    """The process or the system has no free file handle."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{_shown(path)} cannot be opened, because too many files are already open. Nothing is damaged: try again "
            "in a moment. If this happens often, let the index service open more files (`ulimit -n`)."
        )
        self.path = path


class OpeningFailed(IndexServiceError):
    """An index cannot be opened, probably because of a bug in this program."""

    def __init__(self, folder: Path, cause: Exception) -> None:
        super().__init__(
            f"The index in {_shown(folder)} cannot be opened ({type(cause).__name__}). Its files are not known to be "
            "damaged, and other indexes are not affected. See the log for details; keep the folder, and restart."
        )


class SnapshotEnded(IndexServiceError):
    """A snapshot of all indexes is no longer held."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The snapshot of the indexes has ended: {problem}. Nothing was changed; begin again.")


class StorageFull(IndexServiceError):
    """The disk is full, or the data folder cannot be written."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(
            f"{_shown(path)} cannot be written ({cause}). Nothing that was acknowledged is lost; "
            "free disk space or correct the folder's permissions, then try again."
        )
        self.path = path


class PlaceUnusable(IndexServiceError):
    """Indexes cannot be published to, or read from, the place that a setting names."""

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"The setting {setting} names a place that cannot be used: {problem}")


class DataFolderInUse(IndexServiceError):
    """Another process serves the data folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Another index service is running on {folder}. Stop it first, or set SEMSEARCH_DATA to another folder."
        )
        self.folder = folder


class SqliteTooOld(IndexServiceError):
    """Python's SQLite lacks features that the stores need."""

    def __init__(self, version: tuple[int, ...], oldest: tuple[int, ...]) -> None:
        found, needed = (".".join(map(str, numbers)) for numbers in (version, oldest))
        super().__init__(f"This Python has SQLite {found}; {needed} or newer is needed. Use a newer Python or system.")


class StoreDamaged(IndexServiceError):
    """A file that no other can replace cannot be read."""

    def __init__(self, path: Path, cause: str, sentence: str = "") -> None:
        super().__init__(
            sentence
            or f"{_shown(path)} is damaged or missing ({cause}). Other indexes are not affected. "
            "Restore the file from a backup and restart, or delete the index and fill it again."
        )
        self.path = path
        self.cause = cause


class StoreTooNew(StoreDamaged):
    """A newer version of this program wrote the file."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        cause = f"it has format version {found}, but this program reads versions up to {known}"
        super().__init__(
            path,
            cause,
            f"{_shown(path)} was written by a newer program: {cause}. Nothing was changed; run the newer program.",
        )
