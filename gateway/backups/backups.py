"""Backups as callers see them: places by name, one change at a time.

Only the owner makes, prunes and restores backups (see `gateway.lease`); any process lists and verifies them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager

from gateway.backups.errors import BackupDamaged, BackupTooNew, BackupUnderWay
from gateway.backups.keeping import Pruned, prune, verify
from gateway.backups.manifest import Manifest
from gateway.backups.place import BackupPlace, open_place
from gateway.backups.progress import Tally, watched
from gateway.backups.restoring import Restoring
from gateway.backups.saving import Saving
from gateway.lease import Lease, SoleProcess


class Backups:
    """Makes, lists, verifies, prunes and restores backups below `root`, a folder or a URL; "" allows none."""

    def __init__(self, root: str, saving: Saving, restoring: Restoring, lease: Lease | None = None) -> None:
        self._root = root
        self._saving = saving
        self._restoring = restoring
        self._lease = lease or SoleProcess()
        self._busy = ""

    async def create(self, place: str) -> AsyncGenerator[Tally, None]:
        """Make a backup; yield its progress, with the backup's id at the end. Raises as `Saving.run`."""
        tally = Tally()
        with self._alone("A backup"):
            opened = await self._place(place)
            async with aclosing(watched(self._saving.run(opened, tally), tally)) as progress:
                async for each in progress:
                    yield each

    async def restore(self, place: str, backup_id: str) -> AsyncGenerator[Tally, None]:
        """Restore a backup, the newest one without an id; yield its progress. Raises as `Restoring.run`."""
        opened, tally = await self._place(place), Tally()
        with self._alone("A restore"):
            backup_id, manifest = await opened.manifest(backup_id)
            work = self._restoring.run(opened, backup_id, manifest, tally)
            async with aclosing(watched(work, tally)) as progress:
                async for each in progress:
                    yield each

    async def get(self, place: str, backup_id: str) -> tuple[str, Manifest]:
        """Return a backup; raises `BackupNotFound`, `BackupDamaged`, `BackupTooNew`."""
        return await (await self._place(place)).manifest(backup_id)

    async def list(self, place: str) -> Sequence[tuple[str, Manifest | BackupDamaged | BackupTooNew]]:
        """Return the ids of the backups in a place, newest first, with their manifests or why these are unreadable."""
        opened = await self._place(place)
        return [(each, await _manifest_or_problem(opened, each)) for each in reversed(await opened.ids())]

    async def verify(self, place: str, backup_id: str) -> AsyncGenerator[tuple[Tally, Sequence[str]], None]:
        """Check a backup, the newest one without an id; yield the progress, and the damages found so far."""
        opened, tally = await self._place(place), Tally()
        tally.backup_id, manifest = await opened.manifest(backup_id)
        damages: list[str] = []
        async with aclosing(watched(verify(opened, manifest, tally, damages), tally)) as progress:
            async for each in progress:
                yield each, tuple(damages)

    async def prune(self, place: str, keep: int) -> Pruned:
        """Remove all but the newest backups; see `keeping.prune`."""
        with self._alone("A pruning"):
            return await prune(await self._place(place), keep, self._lease)

    async def _place(self, place: str) -> BackupPlace:
        # On a thread: the first time, it loads the library of an object store.
        return await asyncio.to_thread(open_place, self._root, place)

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        if self._busy:
            raise BackupUnderWay(self._busy)
        self._busy = what
        try:
            yield
        finally:
            self._busy = ""


async def _manifest_or_problem(place: BackupPlace, backup_id: str) -> Manifest | BackupDamaged | BackupTooNew:
    try:
        return (await place.manifest(backup_id))[1]
    except (BackupDamaged, BackupTooNew) as problem:
        return problem
