"""The snapshots of all indexes that calls of HoldSnapshot hold, and exports from them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Executor
from contextlib import ExitStack

from semsearch.index.v1 import index_service_pb2 as pb

from index_service.api.call_threads import run_to_end
from index_service.api.translate.indexes import from_definition
from index_service.contract import AnyCatalog, Snapshot
from index_service.errors import SnapshotEnded
from index_service.export_format import ExportPiece

REPORT_SECONDS = 1.0


class HeldSnapshots:
    """Holds snapshots of a catalog, on one event loop; the stores' logs may reach `max_log_bytes`."""

    def __init__(self, catalog: AnyCatalog, threads: Executor, max_log_bytes: int) -> None:
        self._catalog = catalog
        self._threads = threads
        self._max_log_bytes = max_log_bytes
        self._held: dict[str, Snapshot] = {}
        self._is_holding = False

    async def hold(self) -> AsyncGenerator[pb.HoldSnapshotResponse, None]:
        """Hold a snapshot until the generator is closed; yield its description, then reports.

        Raises:
            SnapshotEnded: the logs have grown too large, or another snapshot is held.
            StoreDamaged, TooManyOpenFiles: see `Catalog.hold_snapshot`.
        """
        if self._is_holding:
            raise SnapshotEnded("only one can be held at a time, and another call holds one")
        snapshot_id = secrets.token_hex(16)
        stack = ExitStack()
        self._is_holding = True
        try:
            snapshot = await run_to_end(self._threads, lambda: stack.enter_context(self._catalog.hold_snapshot()))
            self._held[snapshot_id] = snapshot
            indexes = [from_definition(each.definition) for each in snapshot.indexes]
            for message, each in zip(indexes, snapshot.indexes, strict=True):
                message.aliases.extend(each.aliases)
            yield pb.HoldSnapshotResponse(snapshot_id=snapshot_id, indexes=indexes, damaged_indexes=snapshot.damaged)
            while True:
                log_bytes = await run_to_end(self._threads, snapshot.log_bytes)
                if log_bytes > self._max_log_bytes:
                    raise SnapshotEnded(
                        f"while it was read, writes filled the stores' logs with {log_bytes:,} bytes, and "
                        f"{self._max_log_bytes:,} are allowed (SEMSEARCH_INDEX_MAX_SNAPSHOT_LOG_BYTES)"
                    )
                yield pb.HoldSnapshotResponse(log_bytes=log_bytes)
                await asyncio.sleep(REPORT_SECONDS)
        finally:
            self._held.pop(snapshot_id, None)
            try:
                await run_to_end(self._threads, stack.close)
            finally:
                self._is_holding = False

    def export(self, snapshot_id: str, name: str) -> Generator[ExportPiece, None, None]:
        """Return the pieces of an export of an index from a snapshot; raises `SnapshotEnded`."""
        snapshot = self._held.get(snapshot_id)
        if snapshot is None:
            raise SnapshotEnded("the call that held it is over")
        return snapshot.export(name)
