"""Which processes on a data folder are alive.

Each process keeps a lock on a file of its own, `running/<id>`, which the system frees however the process ends. So
another process of the same machine knows at once that it has ended. A suspended process has not ended.

An id contains the machine's: of processes on another machine nothing is known, also if they share the folder.
"""

from __future__ import annotations

import fcntl
import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class LivingProcesses:
    """This process's id, and whether others have ended."""

    def __init__(self, folder: Path, own: str) -> None:
        self._folder = folder
        self.own = own

    def has_ended(self, process: str) -> bool:
        """Return whether a process is known to have ended: one of this machine and data folder."""
        if process == self.own or process.partition(".")[0] != self.own.partition(".")[0] or os.sep in process:
            return False
        return _is_free(self._folder / process)


@contextmanager
def living(folder: Path) -> Iterator[LivingProcesses]:
    """Show that this process is alive during the `with` block; remove the files of processes that have ended."""
    folder.mkdir(parents=True, exist_ok=True)
    own = f"{_machine()}.{secrets.token_hex(8)}"
    # Removed only now: until then, their ids tell others that they have ended.
    ended = [path for path in folder.iterdir() if path.name.partition(".")[0] == _machine() and _is_free(path)]
    file = os.open(folder / own, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield LivingProcesses(folder, own)
    finally:
        os.close(file)
        for path in ended:
            if _is_free(path):
                path.unlink(missing_ok=True)


def _is_free(path: Path) -> bool:
    """Return whether a file exists and no process has a lock on it."""
    with suppress(FileNotFoundError):
        file = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(file)
        return True
    return False


def _machine() -> str:
    """Return the id of this machine since it was started."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return platform.node().replace(os.sep, "-").replace(".", "-") or "unknown"
