"""Backups, and the progress of making, checking and restoring one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Backup:
    """A backup: everything that a suite needs, as of `create_time`.

    An image counts in each collection that has it. `size_bytes` is the size of everything in it; it shares most of that
    with the backups before. `missing_image_count` images lacked a file in the suite. `problem` says why the backup
    cannot be read, in which case only its id and time are known; "" if it can.
    """

    id: str
    create_time: datetime
    image_count: int
    size_bytes: int
    collections: tuple[str, ...]
    models: tuple[str, ...]
    active_model: str
    missing_image_count: int = 0
    problem: str = ""


@dataclass(frozen=True)
class BackupProgress:
    """How far a backup, a check or a restore is; totals are 0 as long as they are unknown.

    `stage` is "indexes", "models", "images", "collections" or "checking". `bytes_copied` leaves out what was there
    already. `log_bytes` is the most that the logs of the indexes reached meanwhile. `backup` is None until it is
    complete.
    """

    stage: str
    bytes_done: int
    bytes_copied: int
    bytes_total: int
    images_done: int
    images_total: int
    images_missing: int = 0
    log_bytes: int = 0
    backup: Backup | None = None


@dataclass(frozen=True)
class BackupCheck:
    """How far a check is, and at its end the damages and the backup's id, which is "" until then."""

    progress: BackupProgress
    damages: tuple[str, ...] = ()
    backup_id: str = ""


@dataclass(frozen=True)
class PrunedBackups:
    """What was removed: the ids of backups, and how many bytes were freed."""

    removed_ids: tuple[str, ...]
    freed_bytes: int
