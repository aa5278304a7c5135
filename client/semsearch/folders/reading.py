"""Reads a consistent snapshot of an image file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from semsearch.folders.results import Reason
from semsearch.folders.scan import Stamp, problem_of

# A file or link may have become a pipe since it was listed: opening it must not wait for a writer.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True)
class Content:
    """A file's bytes, their SHA-256, and the file's stamp at that time."""

    data: bytes
    sha256: bytes
    stamp: Stamp


class NotRead(Exception):
    """The file could not be read completely."""

    def __init__(self, reason: Reason, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason
        self.problem = problem


def read(path: Path) -> Content:
    """Read a file.

    Raises:
        NotRead: It is gone, unreadable, empty or too large, or it changed while it was read.
    """
    try:
        with open(os.open(path, _FLAGS), "rb", buffering=0) as file:  # noqa: PTH123 — a descriptor, not a path
            before = os.fstat(file.fileno())
            if problem := problem_of(before):
                raise NotRead(*problem)
            data = _read_at_most(file.fileno(), before.st_size + 1)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise NotRead(Reason.UNREADABLE, error.strerror or str(error)) from error
    if Stamp.of(before) != Stamp.of(after) or len(data) != after.st_size:
        raise NotRead(Reason.CHANGING, "It changed while it was read; the next run reads it again")
    return Content(data, hashlib.sha256(data).digest(), Stamp.of(after))


def _read_at_most(descriptor: int, size: int) -> bytes:
    parts: list[bytes] = []
    while size and (part := os.read(descriptor, min(size, 2**24))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
