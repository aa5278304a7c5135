"""One index that is read (`index_reads`), written and merged.

Invariants: the store is the only source of truth; an acknowledged write is committed and visible to every later call;
no read waits for a write or a merge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path

from typing_extensions import override

from index_service.definition import IndexDefinition
from index_service.engines.contract import Engine
from index_service.errors import IndexNotFound, StoreDamaged
from index_service.group_commit import GroupCommit
from index_service.items import Delete, Upsert, Write, Written
from index_service.local.background import Background
from index_service.local.connections import IdleConnections
from index_service.local.found_damage import Repair
from index_service.local.index_reads import IndexReads
from index_service.local.manifest import Manifest
from index_service.local.merge_plan import Thresholds
from index_service.local.merging import Merger, Progress
from index_service.local.recovery import recover
from index_service.local.snapshot import Published
from index_service.local.store import Store
from index_service.local.writes import Outcome, StoreWriter
from index_service.thread_work import start


class VectorIndex(IndexReads):
    """An open index."""

    def __init__(
        self,
        folder: Path,
        engine: Callable[[IndexDefinition], Engine],
        thresholds: Thresholds,
        background: Background,
        idle: IdleConnections,
    ) -> None:
        """Open the index in `folder`; merges and checks run on `background`, and `idle` keeps its connections.

        Raises:
            StoreDamaged, StorageFull, TooManyOpenFiles: it cannot be opened.
        """
        store = Store.open(folder, idle)
        try:
            built = engine(store.definition)
            recovered = recover(folder, store, built)
        except BaseException:
            store.close()
            raise
        super().__init__(folder, store, Published(recovered.snapshot), recovered.damage)
        self._merger = Merger(
            folder,
            self.definition.engine,
            built,
            recovered.manifest,
            self._published,
            self._damage,
            thresholds,
            background,
        )
        self._writer = StoreWriter(self._store)
        self._gate = background.commit_gate
        self._commits: GroupCommit[Write, Written] = GroupCommit(self._commit, background.commits)
        is_damaged = bool(self._damage.problems)
        self._merger.verify(recovered.unhashed, self._pin)
        self._merger.start_if_due(forced=is_damaged)
        if not self._store.is_small:
            start(background.checks, self._check_store)

    def upsert(self, write: Upsert) -> Future[Written]:
        """Write all items or none; the future is done when they are on disk and searchable.

        The future raises ItemNotFound if an item without a vector does not exist, and StorageFull or StoreDamaged if
        the store could not be written; then nothing of the write was kept.

        Raises:
            TooManyWrites, IndexNotFound: the write was not queued.
        """
        return self._commits.submit(write)

    def bulk(self) -> AbstractContextManager[None]:
        """Pause merges while many items are written, and resume them at the end; see `Merger.paused`."""
        return self._merger.paused()

    def delete(self, write: Delete) -> Future[Written]:
        """Delete items; the future is done when that is on disk and visible to searches. Raises as `upsert`."""
        return self._commits.submit(write)

    def optimize(self, progress: Progress, *, rebuild: bool = False) -> Future[None]:
        """Fold everything into one segment, or rewrite it; see `Merger.fold_all` and `Merger.rebuild`."""
        return self._merger.rebuild(self._pin, progress) if rebuild else self._merger.fold_all(progress)

    @property
    @override
    def manifest(self) -> Manifest:
        """The segments in use, as on disk."""
        return self._merger.manifest

    def close(self) -> None:
        """Commit queued writes, stop merges and close the files; running reads finish."""
        self._merger.close()
        self._commits.close(IndexNotFound(self.definition.name))
        self._store.close()

    def _check_store(self) -> None:
        """Check a large store that was opened unchecked; if it is damaged, report that but keep serving it."""
        try:
            with self._store.read() as reader:
                reader.check_structure()
        except IndexNotFound:
            return  # the index has been closed
        except StoreDamaged as error:
            self._damage.add(str(error), Repair.RESTORE)

    def _commit(self, writes: Sequence[Write]) -> list[Outcome]:
        with self._gate.passing():
            outcomes, changes = self._writer.commit(writes)
        self._published.update(lambda snapshot: snapshot.after(changes))
        self._merger.start_if_due()
        return outcomes
