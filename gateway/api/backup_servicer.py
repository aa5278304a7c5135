"""BackupService on top of the backups."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import grpc.aio
from semsearch.v1 import backup_service_pb2 as pb
from semsearch.v1 import backup_service_pb2_grpc as pb_grpc
from typing_extensions import override

from gateway.backups.backups import Backups
from gateway.backups.errors import BackupDamaged, BackupTooNew
from gateway.backups.manifest import Manifest, time_of
from gateway.backups.progress import Stage, Tally
from gateway.collections.names import ALIAS_PREFIX
from serving.errors import InvalidField

MAX_PLACE_CHARACTERS = 500

_STAGES = {
    Stage.INDEXES: pb.BACKUP_STAGE_INDEXES,
    Stage.MODELS: pb.BACKUP_STAGE_MODELS,
    Stage.IMAGES: pb.BACKUP_STAGE_IMAGES,
    Stage.ALIASES: pb.BACKUP_STAGE_COLLECTIONS,
    Stage.CHECKING: pb.BACKUP_STAGE_CHECKING,
}

Context = grpc.aio.ServicerContext[Any, Any]


class BackupServicer(pb_grpc.BackupServiceServicer):
    """Makes, lists, checks, prunes and restores backups."""

    def __init__(self, backups: Backups) -> None:
        self._backups = backups

    @override
    async def CreateBackup(
        self, request: pb.CreateBackupRequest, context: Context
    ) -> AsyncIterator[pb.CreateBackupResponse]:
        """Make a backup, streaming its progress."""
        last = Tally()
        async with aclosing(self._backups.create(_place(request.place))) as progress:
            async for last in progress:
                if not last.backup_id:
                    yield pb.CreateBackupResponse(progress=_progress(last))
        yield pb.CreateBackupResponse(progress=_progress(last), backup=await self._backup(request.place, last))

    @override
    async def ListBackups(self, request: pb.ListBackupsRequest, context: Context) -> pb.ListBackupsResponse:
        """List the backups in a place."""
        found = await self._backups.list(_place(request.place))
        return pb.ListBackupsResponse(backups=[_described(*each) for each in found])

    @override
    async def VerifyBackup(
        self, request: pb.VerifyBackupRequest, context: Context
    ) -> AsyncIterator[pb.VerifyBackupResponse]:
        """Check a backup, streaming the progress."""
        last: tuple[Tally, Sequence[str]] = Tally(), ()
        async with aclosing(self._backups.verify(_place(request.place), request.backup_id)) as progress:
            async for last in progress:
                yield pb.VerifyBackupResponse(progress=_progress(last[0]))
        yield pb.VerifyBackupResponse(progress=_progress(last[0]), damages=last[1], backup_id=last[0].backup_id)

    @override
    async def PruneBackups(self, request: pb.PruneBackupsRequest, context: Context) -> pb.PruneBackupsResponse:
        """Remove all but the newest backups."""
        if request.keep < 1:
            raise InvalidField("keep", f"must be 1 or more; it was {request.keep}.")
        pruned = await self._backups.prune(_place(request.place), request.keep)
        return pb.PruneBackupsResponse(removed_ids=pruned.backups, freed_bytes=pruned.bytes)

    @override
    async def RestoreBackup(
        self, request: pb.RestoreBackupRequest, context: Context
    ) -> AsyncIterator[pb.RestoreBackupResponse]:
        """Restore a backup, streaming the progress."""
        last = Tally()
        async with aclosing(self._backups.restore(_place(request.place), request.backup_id)) as progress:
            async for last in progress:
                yield pb.RestoreBackupResponse(progress=_progress(last))
        yield pb.RestoreBackupResponse(progress=_progress(last), backup=await self._backup(request.place, last))

    async def _backup(self, place: str, tally: Tally) -> pb.Backup:
        return _described(*await self._backups.get(place, tally.backup_id))


def _place(place: str) -> str:
    if len(place) > MAX_PLACE_CHARACTERS:
        raise InvalidField("place", f"has at most {MAX_PLACE_CHARACTERS} characters; there were {len(place):,}.")
    return place


def _progress(tally: Tally) -> pb.BackupProgress:
    return pb.BackupProgress(
        stage=_STAGES[tally.stage],
        bytes_done=tally.bytes_done,
        bytes_copied=tally.bytes_copied,
        bytes_total=tally.bytes_total,
        images_done=tally.images_done,
        images_total=tally.images_total,
        images_missing=tally.images_missing,
        log_bytes=tally.log_bytes,
    )


def _described(backup_id: str, manifest: Manifest | BackupDamaged | BackupTooNew) -> pb.Backup:
    if not isinstance(manifest, Manifest):
        backup = pb.Backup(id=backup_id, problem=str(manifest))
        backup.create_time.FromDatetime(time_of(backup_id))
        return backup
    aliases = sorted(alias for index in manifest.indexes for alias in index.aliases)
    backup = pb.Backup(
        id=backup_id,
        image_count=manifest.image_count,
        size_bytes=manifest.bytes,
        collections=[alias.removeprefix(ALIAS_PREFIX) for alias in aliases if alias.startswith(ALIAS_PREFIX)],
        models=[model.id for model in manifest.models],
        active_model=manifest.active_model,
        missing_image_count=manifest.missing_images,
    )
    backup.create_time.FromDatetime(manifest.create_time)
    return backup
