"""Signals when a folder may have changed.

The system reports changes (inotify and the like). It misses changes that other machines make on a network disk, and it
can watch only a limited number of folders; in these cases the folder is scanned at intervals. Each run compares the
whole folder, which takes a second per hundred thousand files.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

POLL_SECONDS = 30.0
# A batch of changes ends when nothing has changed for the step, or after the debounce.
_STEP_MS = 500
_DEBOUNCE_MS = 5_000
_LOOK_MS = 1_000
_AWAY_SECONDS = 5.0
_OCTAL = re.compile(r"\\([0-7]{3})")
_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK_DISKS = frozenset(
    ["9p", "afs", "ceph", "cifs", "davfs", "drvfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "prl_fs", "smb3",
     "smbfs", "vboxsf", "virtiofs", "vmhgfs"]
)  # fmt: skip


def changes(folder: Path, poll_seconds: float, say: Callable[[str], None]) -> Iterator[None]:
    """Yield at once, and again whenever the folder may have changed; never end.

    Args:
        folder: It may vanish and come back.
        poll_seconds: Scan at this interval; 0 relies on the system, or `POLL_SECONDS` if the system is blind.
        say: Called with a sentence if the system is blind.
    """
    if not poll_seconds and (problem := _blindness(folder)):
        say(f"{problem}, so the folder is scanned every {POLL_SECONDS:.0f} seconds (--poll).")
        poll_seconds = POLL_SECONDS
    while not poll_seconds:
        try:
            yield from _reported(folder)
        except FileNotFoundError:
            yield
            time.sleep(_AWAY_SECONDS)
        except (OSError, RuntimeError) as error:  # watchfiles' own is a RuntimeError
            say(f"The system cannot watch the folder ({error}). It is scanned every {POLL_SECONDS:.0f} seconds.")
            poll_seconds = POLL_SECONDS
    while True:
        yield
        time.sleep(poll_seconds)


def _reported(folder: Path) -> Iterator[None]:
    """Yield at once and after each batch of changes, until another folder replaces this one."""
    import watchfiles  # it imports asyncio, which only this command needs

    identity = _identity(folder)
    first = True
    for found in watchfiles.watch(
        folder, watch_filter=None, debounce=_DEBOUNCE_MS, step=_STEP_MS, rust_timeout=_LOOK_MS, yield_on_timeout=True
    ):
        if first or found:
            first = False
            yield
        if _identity(folder) != identity:
            return


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _blindness(folder: Path) -> str:
    """Return why the system cannot report changes of a folder, or "" if it can."""
    kind = disk_kind(folder, _MOUNTS.read_text(errors="replace") if _MOUNTS.exists() else "")
    if kind in _NETWORK_DISKS or kind.startswith("fuse."):
        return f"The system does not report all changes on a {kind} disk"
    return ""


def disk_kind(folder: Path, mounts: str) -> str:
    """Return the file system type of a folder's disk, from the text of /proc/self/mountinfo; "" if unknown."""
    best, kind = "", ""
    place = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118 — with a slash at the end
    for line in mounts.splitlines():
        where, _, what = line.partition(" - ")
        fields = where.split(" ")
        if len(fields) > 4 and what:
            mount = os.path.join(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4]), "")  # noqa: PTH118
            if place.startswith(mount) and len(mount) >= len(best):
                best, kind = mount, what.split(" ")[0]
    return kind
