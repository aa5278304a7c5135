"""The only place that writes, syncs, renames and removes the service's own files (SQLite syncs its own).

A file or folder is written under a temporary name (`temporary_beside`), synced, renamed, and its folder synced: it is
then there as a whole or not at all, whenever the process or the machine stops. What is left under a temporary name
belongs to nobody and is removed at the next start.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index_service.errors import StorageFull, StoreDamaged, TooManyOpenFiles

_TEMPORARY = ".tmp-"
# As much as SQLite wants at once: its -shm grows by 32 KB.
_PROBE_BYTES = 2**16
_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
_NO_HANDLE = {errno.EMFILE, errno.ENFILE}
# As many as SQLite opens at once, with some to spare: where it has none left, it closes those that it got.
_PROBE_HANDLES = 6
# The low byte of an extended SQLite code is the primary one.
_SQLITE_CANNOT_WRITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
# What SQLite also says where a file that it needs beside the database cannot be made or grow.
_SQLITE_PERHAPS_CANNOT_WRITE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}
_SQLITE_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns what SQLite and the system say about a file into errors of the domain; others pass.

    Raises:
        StorageFull: no room, or no right to write.
        TooManyOpenFiles: the process has none left to open it with.
        StoreDamaged: the file is not what SQLite wrote, or it is gone.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        known = storage_error(error, path)
        if known is None:
            raise
        raise known from error


def storage_error(error: Exception, path: Path) -> StorageFull | TooManyOpenFiles | StoreDamaged | None:
    """Returns the domain's error for one of SQLite or of the system, if there is one."""
    if lacks_handles(error):
        return TooManyOpenFiles(path)
    if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
        return StorageFull(path, error.strerror or "error")
    if isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode"):
        return StoreDamaged(path, str(error))  # Python's own, not SQLite's: a text is not UTF-8
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in _SQLITE_CANNOT_WRITE:
        return StorageFull(path, str(error))
    if code in _SQLITE_PERHAPS_CANNOT_WRITE and (refusal := _refusal(path)):
        return refusal
    if code in _SQLITE_DAMAGED:
        return StoreDamaged(path, str(error))
    return None


def lacks_handles(error: Exception) -> bool:
    """Tells whether an error says only that no further file may be open now."""
    # Annoy and usearch tell it as a text only.
    return getattr(error, "errno", None) in _NO_HANDLE or any(os.strerror(each) in str(error) for each in _NO_HANDLE)


def _refusal(path: Path) -> StorageFull | TooManyOpenFiles | None:
    """Says why SQLite cannot write beside a file; None if it can."""
    probe = temporary_beside(path)
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
        with ExitStack() as handles:
            for _ in range(_PROBE_HANDLES):
                handles.enter_context(probe.open("rb"))
    except OSError as error:
        if lacks_handles(error):
            return TooManyOpenFiles(path)
        return StorageFull(path, error.strerror or "error") if error.errno in _CANNOT_WRITE else None
    finally:
        probe.unlink(missing_ok=True)
    return None


def temporary_beside(path: Path) -> Path:
    """Returns an unused name in the same folder."""
    return path.with_name(f"{_TEMPORARY}{path.name}-{secrets.token_hex(4)}")


def is_temporary(path: Path) -> bool:
    """Tells whether a name came from `temporary_beside`."""
    return path.name.startswith(_TEMPORARY)


def write_file(path: Path, content: bytes) -> None:
    """Writes or replaces a file as a whole; the rename is the commit point."""
    temporary = temporary_beside(path)
    try:
        temporary.write_bytes(content)
        sync(temporary)
        publish(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Writes an array in NumPy's format, not synced; unlike `numpy.save` to a file it says why it cannot."""
    content = io.BytesIO()
    np.save(content, array)
    path.write_bytes(content.getvalue())


def sync(path: Path) -> None:
    """Makes the content of a file, or the names in a folder, survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, path: Path) -> None:
    """Gives a synced file, or a folder of synced files, its name."""
    temporary.rename(path)
    sync(path.parent)


def remove_folder(path: Path) -> None:
    """Removes a folder: first its name, at once, then what is in it, as far as that is possible."""
    doomed = temporary_beside(path)
    path.rename(doomed)
    sync(path.parent)
    discard(doomed)


def discard(temporary: Path) -> None:
    """Removes a folder under a temporary name, if it is there, as far as that is possible."""
    shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what an earlier process left under temporary names."""
    for leftover in filter(is_temporary, folder.iterdir()):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_bytes(folder: Path, part: str) -> tuple[int, int]:
    """Returns the bytes of all files below a folder, and of those below its subfolder `part`.

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
