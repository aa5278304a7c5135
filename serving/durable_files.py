"""The only place that writes, syncs, renames and removes files that must survive (SQLite syncs its own).

A file or folder is written under a temporary name (`temporary_beside`), synced, renamed, and its folder synced: it is
then there as a whole or not at all, whenever the process or the machine stops. What is left under a temporary name
belongs to nobody and may be removed.

It knows nothing of servers, so that what is no server, the model and the trainer, may use it too.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "cannot_write",
    "discard",
    "is_temporary",
    "link_or_copy",
    "publish",
    "remove_folder",
    "remove_leftovers",
    "replacing",
    "sha256",
    "size_bytes",
    "sync",
    "temporary_beside",
    "write_file",
    "write_files",
]

_TEMPORARY = ".tmp-"
_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def cannot_write(error: OSError) -> bool:
    """Return whether the system says that a place has no room, or may not be written."""
    return error.errno in _CANNOT_WRITE


def temporary_beside(path: Path) -> Path:
    """Return an unused name in the same folder, with the same ending."""
    return path.with_name(f"{_TEMPORARY}{secrets.token_hex(4)}-{path.name}")


def is_temporary(path: Path) -> bool:
    """Return whether a name came from `temporary_beside`."""
    return path.name.startswith(_TEMPORARY)


@contextmanager
def replacing(path: Path, *, sync_name: bool = True) -> Iterator[Path]:
    """Give the name under which a file is written that takes its place as a whole at the end of a `with`.

    The rename is the commit point; what fails leaves nothing behind. Without `sync_name` it is the caller who syncs the
    folder, after several files.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync_name:
        sync(path.parent)


def write_file(path: Path, content: bytes, *, sync_name: bool = True) -> None:
    """Write or replaces a file as a whole; see `replacing`."""
    with replacing(path, sync_name=sync_name) as temporary:
        temporary.write_bytes(content)


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write or replace several files, each as a whole, and sync the names of all when they are there.

    All contents are written before the first is synced, so that the disk gets them together; the names of a folder are
    synced once. Where it fails, some of the files may be there, and nothing under a temporary name.
    """
    temporaries = {path: temporary_beside(path) for path in files}
    try:
        for path, temporary in temporaries.items():
            temporary.write_bytes(files[path])
        for temporary in temporaries.values():
            sync(temporary)
        for path, temporary in temporaries.items():
            temporary.replace(path)
    except BaseException:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in files}:
        sync(folder)


def sync(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, path: Path) -> None:
    """Give a synced file, or a folder of synced files, its name."""
    temporary.rename(path)
    sync(path.parent)


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file that never changes in another place, without a second copy where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def remove_folder(path: Path) -> None:
    """Remove a folder: first its name, at once, then what is in it, as far as that is possible."""
    doomed = temporary_beside(path)
    path.rename(doomed)
    sync(path.parent)
    discard(doomed)


def discard(temporary: Path) -> None:
    """Remove a folder under a temporary name, if it is there, as far as that is possible."""
    shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what an earlier process left under temporary names."""
    for leftover in filter(is_temporary, folder.iterdir()):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_bytes(folder: Path, part: str) -> tuple[int, int]:
    """Return the bytes of all files below a folder, and of those below its subfolder `part`.

    Files that vanish meanwhile do not count.
    """
    total = in_part = 0
    for root, _, names in os.walk(folder):
        here = 0
        for name in names:
            with suppress(FileNotFoundError):
                here += Path(root, name).stat().st_size
        total += here
        if Path(root).is_relative_to(folder / part):
            in_part += here
    return total, in_part
