"""A file that is read again when it changes. If it cannot be used, its last good content stays in use."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

POLL_SECONDS = 1.0
MAX_BYTES = 16 * 2**20
# A file may change twice within one tick of the file system's clock, so a recent change is read again.
_TICK_SECONDS = 2.0

T = TypeVar("T")
log = structlog.get_logger(__name__)


class UnusableFile(Exception):
    """A file that a setting names cannot be used."""

    def __init__(self, path: Path, problem: object) -> None:
        super().__init__(f"{path} cannot be used: {problem}.")


class WatchedFile(Generic[T]):
    """A file and what `parse` made of its content; `parse` raises one of `errors` if it cannot be used."""

    def __init__(self, path: Path, parse: Callable[[bytes], T], *errors: type[Exception]) -> None:
        """Read the file.

        Raises:
            UnusableFile: It cannot be read, or `parse` raised.
        """
        self._path = path
        self._parse = parse
        self._errors: tuple[type[Exception], ...] = (OSError, *errors)
        self._seen: tuple[int, ...] | None = None
        self._problem = ""
        try:
            self._raw = self._read()
            self.content = parse(self._raw)
        except self._errors as error:
            raise UnusableFile(path, _problem_of(error)) from error

    async def keep_current(self) -> None:
        """Read the file again whenever it changes; run until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Read the file if it has changed; log once what is wrong with it."""
        try:
            signature = _signature(self._path.stat())
            if signature is not None and signature == self._seen:
                return
            raw = self._read()
            if raw != self._raw:
                self.content = self._parse(raw)
                self._raw = raw
                log.info("read a changed file", file=str(self._path))
            self._problem = ""
        except self._errors as error:
            problem = _problem_of(error)
            if problem != self._problem:
                self._problem = problem
                log.warning(
                    "a file cannot be used; what it said before still holds", file=str(self._path), problem=problem
                )

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            self._seen = _signature(os.fstat(file.fileno()))
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise OSError(0, f"it has more than {MAX_BYTES // 2**20} MiB")
        return raw


def _signature(found: os.stat_result) -> tuple[int, ...] | None:
    """Return what changes when a file changes; None if it changed a moment ago."""
    if time.time() - found.st_mtime < _TICK_SECONDS:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _problem_of(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
