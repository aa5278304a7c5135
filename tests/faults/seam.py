"""The seam between a process and libc (`stop_at.c`): built once, loaded by LD_PRELOAD, armed by the process."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("stop_at.c")
# The kinds of changes in `stop_at.c`.
WRITE, SYNC = "w", "s"
NEEDS_SPACE = frozenset("cwbmrl")
# The exit status of a process that was stopped.
STOPPED = 137


class Mode(IntEnum):
    """The effect at the n-th change of a file."""

    COUNT = 0
    STOP_BEFORE = 1
    STOP_HALFWAY = 2  # half of the bytes are written
    NO_SPACE = 3  # from there on, everything that needs space is refused
    POWER_LOSS = 4  # the machine stops: unsynced changes are lost


def compiler() -> str | None:
    """Return the path of a C compiler, or None."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "g++"))), None)


def build(compiler: str, folder: Path) -> Path:
    """Compile the seam into a folder and return the library."""
    library = folder / "stop_at.so"
    subprocess.run(
        [compiler, "-x", "c", "-O1", "-Wall", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True
    )
    return library


def environment(library: Path) -> dict[str, str]:
    """Return the environment that loads the seam into a process."""
    return {
        **os.environ,
        "LD_PRELOAD": str(library),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OPENBLAS_NUM_THREADS": "1",
    }


class Seam:
    """The seam library loaded into this process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._library.faults_kinds.restype = ctypes.c_char_p

    def arm(self, folder: Path, mode: Mode, number: int = 0, image: Path | None = None) -> None:
        """Count changes below a folder from now on; `mode` takes effect at the `number`-th, counted from 1."""
        self._library.faults_arm(
            os.fsencode(folder), ctypes.c_int(mode), ctypes.c_long(number), os.fsencode(image or "")
        )

    def disarm(self) -> None:
        """Let all changes pass again."""
        self._library.faults_disarm()

    def kinds(self) -> str:
        """Return the kinds of the changes since `arm`, one letter each."""
        kinds: bytes = self._library.faults_kinds()
        return kinds.decode()

    def set_clock(self, seconds: int) -> None:
        """Set the wall clock `seconds` ahead of the true one."""
        self._library.faults_set_clock(ctypes.c_long(seconds))

    def set_delay(self, seconds: float) -> None:
        """Let each change take longer, as on a slow disk."""
        self._library.faults_set_delay(ctypes.c_long(round(1e6 * seconds)))
