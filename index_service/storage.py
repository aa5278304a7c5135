"""Translates the errors of SQLite and of the system about files into errors of the domain."""

from __future__ import annotations

import errno
import io
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index_service.errors import StorageFull, StoreDamaged, TooManyOpenFiles
from serving.durable_files import cannot_write, temporary_beside

# As much as SQLite allocates at once: its -shm grows by 32 KB.
_PROBE_BYTES = 2**16
_NO_HANDLE = {errno.EMFILE, errno.ENFILE}
# As many as SQLite opens at once, with some to spare: if it runs out, it closes those that it opened.
_PROBE_HANDLES = 6
# The low byte of an extended SQLite code is the primary one.
_SQLITE_CANNOT_WRITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
# SQLite also reports these if a file that it needs beside the database cannot be created or extended.
_SQLITE_PERHAPS_CANNOT_WRITE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}
_SQLITE_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate errors of SQLite and of the system about a file into errors of the domain; pass all others on.

    Raises:
        StorageFull: the disk is full, or there is no permission to write.
        TooManyOpenFiles: the process has no free file handle.
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
    """Return the domain's error for an error of SQLite or of the system, or None."""
    if lacks_handles(error):
        return TooManyOpenFiles(path)
    if isinstance(error, OSError) and cannot_write(error):
        return StorageFull(path, error.strerror or "error")
    if isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode"):
        return StoreDamaged(path, str(error))  # raised by Python, not by SQLite: a text is not UTF-8
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in _SQLITE_CANNOT_WRITE:
        return StorageFull(path, str(error))
    if code in _SQLITE_PERHAPS_CANNOT_WRITE and (refusal := _refusal(path)):
        return refusal
    if code in _SQLITE_DAMAGED:
        return StoreDamaged(path, str(error))
    return None


def lacks_handles(error: Exception) -> bool:
    """Return whether an error only means that no further file may be open now."""
    # Annoy and usearch report it only in the message.
    return getattr(error, "errno", None) in _NO_HANDLE or any(os.strerror(each) in str(error) for each in _NO_HANDLE)


def _refusal(path: Path) -> StorageFull | TooManyOpenFiles | None:
    """Return why SQLite cannot write beside a file; None if it can."""
    probe = temporary_beside(path)
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
        with ExitStack() as handles:
            for _ in range(_PROBE_HANDLES):
                handles.enter_context(probe.open("rb"))
    except OSError as error:
        if lacks_handles(error):
            return TooManyOpenFiles(path)
        return StorageFull(path, error.strerror or "error") if cannot_write(error) else None
    finally:
        probe.unlink(missing_ok=True)
    return None


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array in NumPy's format, unsynced; unlike `numpy.save`, report the cause of a failure."""
    content = io.BytesIO()
    np.save(content, array)
    path.write_bytes(content.getvalue())
