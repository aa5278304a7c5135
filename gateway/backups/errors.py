"""The errors of backups.

GatewayError
├── BackupsOff               no setting names a place for backups
├── BackupPlaceRefused       a place of backups is not allowed, or cannot be used
├── BackupPlaceFull          a place of backups is full
├── BackupPlaceUnavailable   a place of backups does not answer
├── BackupNotFound
├── BackupDamaged            a part of a backup is missing, has another checksum, or is malformed
├── BackupTooNew             a newer version made the backup
├── BackupUnderWay           another backup, restore or pruning is in progress
├── NotEmpty                 a backup can be restored only into an empty suite
├── RestoreBegun             another restore was interrupted here
└── IndexesDamaged           a backup would lack an index
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import GatewayError


class BackupsOff(GatewayError):
    """No setting names a place for backups."""

    def __init__(self) -> None:
        super().__init__(
            "This gateway has no place for backups. Set SEMSEARCH_GATEWAY_BACKUPS to a folder on its machine, or to "
            "s3://bucket/prefix or gs://bucket/prefix, and restart it."
        )


class BackupPlaceRefused(GatewayError):
    """A place of backups is not allowed, or cannot be used."""


class BackupPlaceFull(GatewayError):
    """A place of backups is full."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"The place of backups {place} is full. No backup was made, and the earlier ones are whole. Make room "
            "there (PruneBackups removes old ones), then try again: what was copied stays, and is not copied twice."
        )


class BackupPlaceUnavailable(GatewayError):
    """A place of backups does not answer."""

    retry_after_seconds = 1.0

    def __init__(self, place: str) -> None:
        super().__init__(
            f"The place of backups {place} does not answer. Try again: what was copied stays, and is not copied twice."
        )


class BackupNotFound(GatewayError):
    """There is no such backup."""

    def __init__(self, backup_id: str, place: str) -> None:
        what = f"backup {backup_id[:60]!r}" if backup_id else "complete backup"
        super().__init__(f"There is no {what} in {place}. ListBackups lists all backups.")
        self.backup_id = backup_id


class BackupDamaged(GatewayError):
    """A part of a backup is missing, has another checksum, or is `malformed`: its checksum is right, but not its text.

    No damage makes an object malformed, so somebody changed the backup.
    """

    def __init__(self, key: str, what: str, *, malformed: bool = False) -> None:
        problem = "is malformed: somebody changed the backup" if malformed else "is missing or has another checksum"
        super().__init__(
            f"The backup is damaged: {key}, which is {what}, {problem}. Nothing of it was used. Restore another "
            f"backup{'' if malformed else ', or copy the object again from where it is whole'}."
        )
        self.key = key


class BackupTooNew(GatewayError):
    """A newer version made the backup."""

    def __init__(self, backup_id: str) -> None:
        super().__init__(f"A newer version of semsearch made the backup {backup_id}. Restore it with that version.")


class BackupUnderWay(GatewayError):
    """Another backup, restore or pruning is in progress."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is in progress, and only one can run at a time. Try again when it is done.")


class NotEmpty(GatewayError):
    """A backup can be restored only into an empty suite."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"A backup is restored only into an empty suite, but here {what}. Nothing was changed. Start the services "
            "with an empty data folder, and restore into that; `make run-all NO_GALLERY=1` leaves out the starter "
            "pictures."
        )


class RestoreBegun(GatewayError):
    """Another restore was interrupted here."""

    def __init__(self, backup_id: str) -> None:
        super().__init__(
            f"The restore of the backup {backup_id} was interrupted, so no other can be restored here. Nothing was "
            "changed. Finish it with that id, or start the services with an empty data folder.",
        )


class IndexesDamaged(GatewayError):
    """A backup would lack an index."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            f"No backup was made, because it would lack indexes that cannot be opened: {', '.join(names)[:300]}. "
            "Repair or delete them first; ListIndexes says what is wrong with them."
        )
