"""Backups: making, checking, pruning and restoring them."""

from __future__ import annotations

from datetime import UTC

from semsearch.transport.calls import Call
from semsearch.transport.methods import streamed, unary
from semsearch.v1 import backup_service_pb2 as pb
from semsearch.values.backups import Backup, BackupCheck, BackupProgress, PrunedBackups

# A hundred million images to a slow place.
_BACKUP_SECONDS = 7 * 24 * 3600.0


class BackupMethods:
    """The methods of BackupService.

    `place` is a name below the place that the gateway's setting SEMSEARCH_GATEWAY_BACKUPS names; "" means that one.
    """

    @streamed
    def create_backup(self, place: str = "", *, timeout: float = _BACKUP_SECONDS) -> Call[BackupProgress]:
        """Make a backup while searches and writes continue; yield the progress, with the backup at the end.

        If the iteration ends early there is no backup, and the next call reuses what was copied.
        """
        return Call(pb.CreateBackupRequest(place=place), _created, timeout)

    @unary
    def list_backups(self, place: str = "", *, timeout: float | None = None) -> Call[list[Backup]]:
        """Return the backups in a place, newest first."""
        return Call(pb.ListBackupsRequest(place=place), lambda response: [*map(_backup, response.backups)], timeout)

    @streamed
    def verify_backup(
        self, place: str = "", backup_id: str = "", *, timeout: float = _BACKUP_SECONDS
    ) -> Call[BackupCheck]:
        """Compare a backup ("" means the newest) with its checksums; yield the progress, at the end the damages."""
        return Call(pb.VerifyBackupRequest(place=place, backup_id=backup_id), _checked, timeout)

    @unary
    def prune_backups(self, place: str = "", *, keep: int, timeout: float = _BACKUP_SECONDS) -> Call[PrunedBackups]:
        """Remove all but the `keep` newest backups, and what none of these needs."""
        return Call(
            pb.PruneBackupsRequest(place=place, keep=keep),
            lambda response: PrunedBackups(tuple(response.removed_ids), response.freed_bytes),
            timeout,
            repeatable=False,
        )

    @streamed
    def restore_backup(
        self, place: str = "", backup_id: str = "", *, timeout: float = _BACKUP_SECONDS
    ) -> Call[BackupProgress]:
        """Restore a backup ("" means the newest) into a suite without images; yield the progress.

        If the iteration ends early, the next call for the same backup continues it.
        """
        return Call(pb.RestoreBackupRequest(place=place, backup_id=backup_id), _created, timeout)


def _created(response: pb.CreateBackupResponse | pb.RestoreBackupResponse) -> BackupProgress:
    return _progress(response.progress, _backup(response.backup) if response.HasField("backup") else None)


def _checked(response: pb.VerifyBackupResponse) -> BackupCheck:
    return BackupCheck(_progress(response.progress), tuple(response.damages), response.backup_id)


def _progress(message: pb.BackupProgress, backup: Backup | None = None) -> BackupProgress:
    return BackupProgress(
        stage=pb.BackupStage.Name(message.stage).removeprefix("BACKUP_STAGE_").lower(),
        bytes_done=message.bytes_done,
        bytes_copied=message.bytes_copied,
        bytes_total=message.bytes_total,
        images_done=message.images_done,
        images_total=message.images_total,
        images_missing=message.images_missing,
        log_bytes=message.log_bytes,
        backup=backup,
    )


def _backup(message: pb.Backup) -> Backup:
    return Backup(
        id=message.id,
        create_time=message.create_time.ToDatetime(tzinfo=UTC),
        image_count=message.image_count,
        size_bytes=message.size_bytes,
        collections=tuple(message.collections),
        models=tuple(message.models),
        active_model=message.active_model,
        missing_image_count=message.missing_image_count,
        problem=message.problem,
    )
