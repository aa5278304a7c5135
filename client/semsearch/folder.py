"""The images of a local folder."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    [".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"]
)


@dataclass(frozen=True)
class LocalFile:
    """An image file: `relative` to the folder that was named, with slashes; `modified` in ISO 8601, UTC."""

    path: Path
    relative: str
    size_bytes: int
    modified: str


@dataclass(frozen=True)
class Unreadable:
    """A file or a folder that could not be read, and why."""

    relative: str
    problem: str


def scan(folder: Path) -> tuple[list[LocalFile], list[Unreadable]]:
    """Find the image files below a folder, by their suffix, in the order of their paths.

    Hidden files and folders are left out (macOS keeps resource forks under such names). Links to folders are not
    followed, since they may form a circle.
    """
    files: list[LocalFile] = []
    unreadable: list[Unreadable] = []

    def report(error: OSError) -> None:
        where = Path(error.filename) if error.filename else folder
        unreadable.append(Unreadable(_relative(where, folder), error.strerror or str(error)))

    for parent, folders, names in os.walk(folder, onerror=report):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            try:
                status = path.stat()
            except OSError as error:
                report(error)
                continue
            if not stat.S_ISREG(status.st_mode):  # reading a pipe may never end
                unreadable.append(Unreadable(_relative(path, folder), "Not a regular file"))
                continue
            modified = datetime.fromtimestamp(status.st_mtime, UTC).isoformat()
            files.append(LocalFile(path, _relative(path, folder), status.st_size, modified))
    return files, unreadable


def _relative(path: Path, folder: Path) -> str:
    # A name that is not valid Unicode could not be sent.
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "replace")
