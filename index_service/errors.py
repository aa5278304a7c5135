"""What can go wrong in the index service, without a word of gRPC; `statuses` maps each class to a code and a reason.

IndexServiceError
├── IndexNotFound            no index or alias of that name
├── IndexExists              the name is taken by an index or an alias
├── IndexInUse               an alias names the index that is to be deleted
├── ItemNotFound             no item of that id
├── InvalidId                an item's id is empty, too long, or has a slash or a control character
├── InvalidVector            NaN, an infinity, or no direction
├── DimensionMismatch        a vector of another length than the index's
├── ModelMismatch            a vector of another model than the index's
├── PositionOutOfDate        a search is to go on in another index than the one it was begun in
├── InvalidAttributePath     a path that no attribute can have
├── InvalidFilter            a filter that is malformed, too deep or too large
├── InvalidExport            an export that is to be imported is cut off, altered, or none at all
├── ExportTooNew             it was written by a newer version
├── TooManyWrites            the queue in front of the store is full
├── TooManyOperations        so many exports, imports and checks run already
├── BuildFailed              an engine could not build a segment
├── TooManyOpenFiles         the process, or the machine, may not open another file now
├── OpeningFailed            an index cannot be opened, and its files are not known to be damaged
├── StorageFull              the disk is full, or the data folder cannot be written
├── DataFolderInUse          another process serves the data folder
├── SqliteTooOld             Python was built with a SQLite that lacks what the stores need
└── StoreDamaged             a file of the truth cannot be read
    └── StoreTooNew          it was written by a newer version
"""

from __future__ import annotations

from pathlib import Path


class IndexServiceError(Exception):
    """Base of every error of this service."""


class IndexNotFound(IndexServiceError):
    """No index or alias has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'There is no index or alias "{name}". ListIndexes names those that exist.')
        self.name = name


class IndexExists(IndexServiceError):
    """The name is taken."""

    def __init__(self, name: str, kind: str = "index") -> None:
        super().__init__(f'"{name}" is already the name of an {kind}. Choose another, or delete that first.')
        self.name = name


class IndexInUse(IndexServiceError):
    """Aliases name the index."""

    def __init__(self, name: str, aliases: tuple[str, ...]) -> None:
        super().__init__(
            f'Index "{name}" is named by the alias {", ".join(aliases)} and stays. Let it name another index, '
            "or remove it, then delete the index."
        )
        self.name = name
        self.aliases = aliases


class ItemNotFound(IndexServiceError):
    """The index has no item of that id."""

    def __init__(self, item_id: str, purpose: str) -> None:
        super().__init__(f'The index has no item "{item_id}", so {purpose}.')
        self.item_id = item_id


class InvalidId(IndexServiceError):
    """An item's id breaks the rules."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field} {description}")
        self.field = field
        self.description = description


class InvalidVector(IndexServiceError):
    """A vector has no direction."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field} {description}")
        self.field = field
        self.description = description


class DimensionMismatch(IndexServiceError):
    """A vector's length is not the index's dimension."""

    def __init__(self, field: str, length: int, dimension: int) -> None:
        super().__init__(f"{field} has {length} numbers; vectors of this index have {dimension}.")
        self.field = field
        self.length = length
        self.dimension = dimension


class ModelMismatch(IndexServiceError):
    """A vector was made by another model than the items of the index."""

    def __init__(self, index: str, expected: str, got: str) -> None:
        super().__init__(
            f'Index "{index}" holds vectors of model "{expected}", these are of "{got}". '
            "Vectors of different models cannot be compared: use an index of the same model."
        )
        self.index = index
        self.expected = expected
        self.got = got


class PositionOutOfDate(IndexServiceError):
    """A search is to go on in another index than the one it was begun in."""

    def __init__(self, index: str) -> None:
        super().__init__(
            f'The search was begun in another index than "{index}", so there is no place in this one to go on from. '
            "Search again from the beginning."
        )


class InvalidAttributePath(IndexServiceError):
    """A path that no attribute can have."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f'The attribute path "{path}" {problem}.')
        self.path = path
        self.problem = problem


class InvalidFilter(IndexServiceError):
    """A filter is malformed, deeper or larger than allowed."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field} {description}")
        self.field = field
        self.description = description


class InvalidExport(IndexServiceError):
    """What is to be imported is not a whole export."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The export is damaged or cut off: {problem}. Nothing of it was kept; export the index again."
        )


class ExportTooNew(IndexServiceError):
    """An export was written by a newer version of this program."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"The format of the export is version {found}, this program reads up to {known}. Nothing of it was kept; "
            "import it with the newer program."
        )
        self.found = found
        self.known = known


class TooManyOperations(IndexServiceError):
    """As many exports, imports and checks run as may."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} exports, imports and checks are under way, and no more may run at once. "
            "Try again when one is done."
        )


class TooManyWrites(IndexServiceError):
    """More items wait to be committed than the queue holds."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} items wait to be written already. Nothing of this call was; try again shortly.")


class BuildFailed(IndexServiceError):
    """An engine could not build a segment; its rows go on being searched as before."""


class TooManyOpenFiles(IndexServiceError):
    """The process, or the machine, may not open another file now."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} cannot be opened, because too many files are open already. Nothing is damaged: try again in a "
            "moment. If it happens often, let the index service open more files (`ulimit -n`)."
        )
        self.path = path


class OpeningFailed(IndexServiceError):
    """An index cannot be opened through a fault of this program, as far as is known."""

    def __init__(self, folder: Path, cause: Exception) -> None:
        super().__init__(
            f"The index in {folder} cannot be opened ({type(cause).__name__}: {cause}). Nothing says that its files "
            "are damaged, and other indexes are not affected. The log has more; keep the folder, and start again."
        )


class StorageFull(IndexServiceError):
    """The disk is full, or the data folder cannot be written."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(
            f"{path} cannot be written ({cause}). Nothing that was acknowledged is lost; "
            "make room or correct the folder's rights, then try again."
        )
        self.path = path


class DataFolderInUse(IndexServiceError):
    """Another process serves the data folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Another index service is running on {folder}. Stop it first, or set SEMSEARCH_DATA to another folder."
        )
        self.folder = folder


class SqliteTooOld(IndexServiceError):
    """Python's SQLite lacks what the stores need."""

    def __init__(self, version: tuple[int, ...], oldest: tuple[int, ...]) -> None:
        found, needed = (".".join(map(str, numbers)) for numbers in (version, oldest))
        super().__init__(f"This Python has SQLite {found}; {needed} or newer is needed. Use a newer Python or system.")


class StoreDamaged(IndexServiceError):
    """A file that holds the truth cannot be read."""

    def __init__(self, path: Path, cause: str, sentence: str = "") -> None:
        super().__init__(
            sentence
            or f"{path} is damaged or missing ({cause}). Other indexes are not affected. "
            "Restore the file from a copy and restart, or delete the index and fill it again."
        )
        self.path = path
        self.cause = cause


class StoreTooNew(StoreDamaged):
    """A file was written by a newer version of this program."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        cause = f"its format is version {found}, this program reads up to {known}"
        super().__init__(
            path, cause, f"{path} was written by a newer program: {cause}. Nothing was changed; run the newer program."
        )
