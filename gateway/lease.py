"""The lease: which of the gateway processes on one data folder is the owner.

Any number of processes may serve one data folder. The owner alone makes changes: it writes to collections, switches
models, fills words and sweeps. So the state that coordinates changes (locks, holds, uploads in progress) can stay in
the memory of one process. The others answer reads, and pass changes on to the owner (`api/forwarding`).

Contract of a lease:
1. At most one process holds it.
2. It is held until the process ends or closes it; calls that are in progress have ended by then. So a change of the
   former owner can overlap one of the next only if it was never acknowledged.
3. When it is free, one of the processes that wait for it gets it within `POLL_SECONDS`.

A lease that its holder can lose while it runs, as over a network, breaks 2: the index would then have to refuse the
writes of former owners. See docs/decisions/0034-several-gateway-processes.md.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Protocol

import structlog

POLL_SECONDS = 0.2

log = structlog.get_logger(__name__)


class Lease(Protocol):
    """The right to make changes."""

    @property
    def is_held(self) -> bool:
        """Whether this process is the owner."""

    async def acquire(self) -> None:
        """Wait until this process is the owner."""

    def holder(self) -> str:
        """Return the owner's address, or "" if it is unknown; it may name a process that has just ended."""


class SoleProcess:
    """The lease of a process that is known to be the only one."""

    is_held = True

    async def acquire(self) -> None:
        """Return at once."""

    def holder(self) -> str:
        """Return ""."""
        return ""


class FileLease:
    """A lease for the processes of one machine: a locked file, whose content is the owner's address.

    The system frees the lock when the process ends, however it ends. The file stays, because a lock on a file that was
    replaced would exclude nobody.
    """

    def __init__(self, path: Path, address: str) -> None:
        """Make the file if needed; `address` is where other processes reach this one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._address = address
        self._file = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
        self._is_held = False

    def __enter__(self) -> FileLease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_held = False
        os.close(self._file)

    @property
    def is_held(self) -> bool:
        """Whether this process is the owner."""
        return self._is_held

    def try_acquire(self) -> bool:
        """Become the owner if there is none; return whether this process is the owner now."""
        if self._is_held:
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._is_held = True
        try:
            self._write_address()
        except OSError as error:  # a full disk must not keep a lone process from its work
            log.warning("other processes cannot pass changes on to this one", error=str(error))
        return True

    async def acquire(self) -> None:
        """Wait until this process is the owner."""
        while not self.try_acquire():  # noqa: ASYNC110 — a lock of another process makes no event
            await asyncio.sleep(POLL_SECONDS)

    def holder(self) -> str:
        """Return the owner's address, or "" if it is unknown; it may name a process that has just ended."""
        address = self._path.read_text(encoding="utf-8").partition("\n")[0]
        return "" if address == self._address else address  # this process's own, from before its restart

    def _write_address(self) -> None:
        file = os.open(self._path, os.O_WRONLY)
        try:
            # The new line ends before the rest of a longer one is cut off, so a reader gets no mixture of them.
            content = f"{self._address}\n".encode()
            os.pwrite(file, content, 0)
            os.ftruncate(file, len(content))
        finally:
            os.close(file)
