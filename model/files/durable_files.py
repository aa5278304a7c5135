"""The only place that writes, syncs and renames a model's own files.

A file or folder is written under another name, synced, renamed, and its folder synced: it is then there as a whole or
not at all, whenever the process or the machine stops.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.errors import StorageFull

__all__ = ["link_or_copy", "publish", "sha256", "storage_errors", "sync", "write_file"]

_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns what the system says about a place that has no room, or may not be written, into StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise StorageFull(f"{path} cannot be written: {error.strerror}.") from error


def write_file(path: Path, text: str) -> None:
    """Writes or replaces a file as a whole; the rename is the commit point."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(0o644)
        sync(temporary)
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """Gives a synced file, or a folder of synced files, its name."""
    temporary.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Makes the content of a file, or the names in a folder, survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Puts a file that never changes in another place, without a second copy where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
