"""The only place that writes, syncs, renames and removes files that must survive (SQLite syncs its own).

A file or folder is written under a temporary name (`temporary_beside`), synced and renamed, and its parent folder is
synced. It then exists completely or not at all, whenever the process or the machine stops. Leftovers under temporary
names have no owner and may be removed.

This module knows nothing about servers, so that the model and the trainer can use it too.
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

_TEMPORARY = ".tmp-"
_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def cannot_write(error: OSError) -> bool:
    """Return whether an error means that a disk is full or not writable."""
    return error.errno in _CANNOT_WRITE


def temporary_beside(path: Path) -> Path:
    """Return an unused temporary name in the same folder, with the same suffix."""
    return path.with_name(f"{_TEMPORARY}{secrets.token_hex(4)}-{path.name}")


def is_temporary(path: Path) -> bool:
    """Return whether a name came from `temporary_beside`."""
    return path.name.startswith(_TEMPORARY)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name to write a file under; it replaces `path` atomically at the end of the `with` block.

    The rename is the commit point; a failure leaves nothing behind.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """Write or replace a file atomically; see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write or replace several files, each atomically, and sync their folders.

    All contents are written before the first is synced, so that the disk receives them together; each folder is synced
    once. After a failure some of the files may exist, but none under a temporary name.
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
    """Hard-link an immutable file to another path, or copy it where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def remove_folder(path: Path) -> None:
    """Remove a folder: rename it away atomically, then delete its contents as far as possible."""
    doomed = temporary_beside(path)
    path.rename(doomed)
    sync(path.parent)
    discard(doomed)


def discard(temporary: Path) -> None:
    """Delete a folder under a temporary name, if it exists, ignoring errors."""
    shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove leftovers of an earlier process under temporary names."""
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

    Files that vanish during the walk do not count.
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
