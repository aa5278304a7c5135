"""A snapshot of all indexes and aliases as of one moment, kept for exports.

Each index is read in a transaction that begins while no commit is in progress and none begins: so a write that was
acknowledged before another one began is in the snapshot if the other one is. An index's transaction ends with its
export, or with the snapshot. Until then, the log of its store cannot be reused, and grows with each write.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from index_service.descriptions import HeldIndex
from index_service.errors import SnapshotEnded
from index_service.export_format import ExportPiece
from index_service.local.exporting import export_version
from index_service.local.reads import StoreReader
from index_service.local.store import Store


class HeldSnapshot:
    """A snapshot of the indexes in `stores`; its methods may be called from any thread."""

    def __init__(self, stores: Mapping[str, Store]) -> None:
        """Open a transaction of each store, which reads nothing yet; the caller must always call `close`."""
        self.indexes: Sequence[HeldIndex] = ()
        self.damaged: Sequence[str] = ()
        self._open: dict[str, tuple[StoreReader, ExitStack]] = {}
        self._stores = stores
        try:
            for name, store in stores.items():
                stack = ExitStack()
                self._open[name] = stack.enter_context(store.read()), stack
        except BaseException:
            self.close()
            raise

    def pin(self, aliases: Mapping[str, tuple[str, ...]], damaged: Sequence[str]) -> None:
        """Let each transaction see its store as it is now; no commit may be in progress."""
        for reader, _ in self._open.values():
            reader.version()
        self.indexes = tuple(HeldIndex(store.definition, aliases[name]) for name, store in self._stores.items())
        self.damaged = tuple(damaged)

    def export(self, name: str) -> Generator[ExportPiece, None, None]:
        """Yield the pieces of an export of an index, by its name, and end its transaction.

        Raises:
            SnapshotEnded: the snapshot is closed, or the index was exported already.
            StoreDamaged: see `exporting`.
        """
        reader, stack = self._taken(name)
        with stack:
            store = self._stores[name]
            yield from export_version(reader, store.definition, store.path)

    def log_bytes(self) -> int:
        """Return the bytes in the logs of all stores."""
        total = 0
        for store in self._stores.values():
            with suppress(OSError):  # no log, or the index was deleted
                total += Path(f"{store.path}-wal").stat().st_size
        return total

    def close(self) -> None:
        """End all transactions, except those of exports in progress."""
        while self._open:
            _, (_, stack) = self._open.popitem()
            stack.close()

    def _taken(self, name: str) -> tuple[StoreReader, ExitStack]:
        found = self._open.pop(name, None)
        if found is None:
            raise SnapshotEnded(f'it has no index "{name}" any more')
        return found
